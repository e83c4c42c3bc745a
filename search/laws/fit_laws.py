"""All laws of a study from its trials, its step times and the noise scales that it measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from largebatch.search.laws.batch_size.learning_rate_law import fit_learning_rate_law
from largebatch.search.laws.batch_size.optima import BatchOptimum, Optima, find_optima, noise_scale_near
from largebatch.search.laws.batch_size.other_laws import fit_other_laws
from largebatch.search.laws.batch_size.steps_law import fit_steps_law
from largebatch.search.laws.holdout import Withheld, withhold_batch_size, withhold_workers
from largebatch.search.laws.law import Law
from largebatch.search.laws.nothing_reached import nothing_reached
from largebatch.search.laws.smc import NUM_DRAWS
from largebatch.search.laws.step_time.interconnects import Network
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.search.laws.step_time.timings import timings_of_profile
from largebatch.spaces.errors import UserError
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedLaws:
    """The laws, and the optima that they were fitted to."""

    found: Optima
    steps: Law
    learning_rate: Law
    step_seconds: StepTimeLaw | None
    noise_scale: float | None
    """Measured by the best trials near the target, in examples; None where it was not measured."""
    others: Mapping[str, Law] = field(default_factory=dict)
    """Of momentum (as ``one_minus_momentum``), warm-up, weight decay, .., where the trials varied them."""
    withheld: Mapping[str, Withheld] = field(default_factory=dict)
    """``steps`` and ``step_seconds``, where there are enough points."""

    @property
    def optima(self) -> tuple[BatchOptimum, ...]:
        """The best of each batch size."""
        return self.found.optima


def fit_laws(
    trials: Sequence[Trial],
    profile: StepTimeProfile | None,
    *,
    noise_scales: Mapping[int, float] | None = None,
    network: Network | None = None,
    seed: int = 0,
) -> FittedLaws:
    """Fit steps, learning rate and step seconds; the same trials and seed give the same laws.

    ``noise_scales`` are those that trials measured when they reached the target, by number, in examples.

    Raises:
        UserError: if no trial reached the target, or no interconnect is called so.
    """
    ended = [trial for trial in trials if trial.ending is not None]
    reached = [trial.passage.high for trial in ended if trial.passage is not None]
    if not reached:
        raise UserError(nothing_reached(ended))
    if np.median(reached) < 1:
        raise UserError(
            f"most of the {len(reached)} trials that met the target did so before their first step: are its value and "
            "its direction (`above` or `below`) meant?"
        )
    rng = np.random.default_rng(seed)
    found = find_optima(ended, num_draws=NUM_DRAWS, rng=rng)
    noise_scale = noise_scale_near(found.optima, noise_scales or {})
    counts = {
        "num_trials": len(found.trials),
        "num_reached": sum(trial.reached for trial in found.trials),
        "optimizer": found.kind,
    }
    withheld = {"steps": withhold_batch_size(found.steps, noise_scale, rng)}
    step_seconds = None
    if profile is not None:
        timings = timings_of_profile(profile)
        step_seconds, withheld["step_seconds"] = withhold_workers(timings, network or Network(), rng, profile.device)
    return FittedLaws(
        found=found,
        steps=fit_steps_law(found.steps, rng=rng, noise_scale=noise_scale, fitted_on=counts),
        learning_rate=fit_learning_rate_law(found.rates, rng=rng, fitted_on=counts),
        others=fit_other_laws(found, rng),
        step_seconds=step_seconds,
        noise_scale=noise_scale,
        withheld={name: found for name, found in withheld.items() if found is not None},
    )
