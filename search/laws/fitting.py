"""All laws of a study from its trials, its step times and the noise scales that it measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from largebatch.search.laws.batch_size.learning_rate_law import fit_learning_rate_law
from largebatch.search.laws.batch_size.optima import BatchOptimum, Optima, find_optima, noise_scale_near
from largebatch.search.laws.batch_size.other_laws import fit_other_laws
from largebatch.search.laws.batch_size.points import MIN_POINTS, Points
from largebatch.search.laws.batch_size.steps_law import Unit, fit_steps_law
from largebatch.search.laws.law import Law, Prediction
from largebatch.search.laws.posterior import NUM_DRAWS
from largebatch.search.laws.step_time.interconnects import find_interconnect
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw, fit_step_time_law
from largebatch.search.laws.step_time.timings import Timings, timings_of_profile
from largebatch.search.laws.withheld import Withheld
from largebatch.spaces.step_time_profile import StepTimeProfile
from largebatch.spaces.trial import Trial
from largebatch.spaces.user_mistake import UserMistake


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What the user knows of the machine that the plan is for.

    ``interconnect`` joins its nodes, or all its devices where ``workers_per_node`` is not given.
    """

    workers_per_node: int | None = None
    interconnect: str | None = None


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
        UserMistake: if no trial reached the target, or no interconnect is called so.
    """
    ended = [trial for trial in trials if trial.ending is not None]
    reached = [trial.steps_to_target for trial in ended if trial.steps_to_target is not None]
    if not reached:
        raise UserMistake(_nothing_reached(ended))
    if np.median(reached) < 1:
        raise UserMistake(
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


def withhold_workers(
    timings: Timings, network: Network, rng: np.random.Generator, device: str = ""
) -> tuple[StepTimeLaw, Withheld | None]:
    """The step-time law, and what that of the rest says of the most workers, where enough were timed."""
    between = find_interconnect(network.interconnect)
    within = between if network.workers_per_node is None else find_interconnect(None)
    timings = replace(timings, workers_per_node=network.workers_per_node)
    fewer = timings.without_most_workers()
    withheld = None
    if fewer is not None:
        most = int(timings.num_workers_M.max())
        held = int(np.flatnonzero(timings.num_workers_M == most)[-1])
        law = fit_step_time_law(fewer, rng=rng, within=within, between=between)
        told = law.predict(most, timings.local_batch_M[held])
        withheld = _compare("num_workers", most, float(np.exp(timings.log_seconds_M[held])), told)
    return fit_step_time_law(timings, rng=rng, device=device, within=within, between=between), withheld


def withhold_batch_size(
    points: Points, noise_scale: float | None, rng: np.random.Generator, unit: Unit = "steps"
) -> Withheld | None:
    """What the law of the smaller batch sizes says of the largest that reached the target; told in ``unit``."""
    known = np.flatnonzero(points.known)
    if len(known) <= MIN_POINTS:
        return None
    last = int(known[-1])
    law = fit_steps_law(points.first(last), rng=rng, noise_scale=noise_scale)
    if law.verdict == "no-law":
        return None
    size = int(points.batch_K[last])
    amount = size if unit == "examples" else 1
    told = law.predict(size)
    scaled = Prediction(value=told.value * amount, low=told.low * amount, high=told.high * amount)
    return _compare("global_batch_size", size, float(np.exp(points.log_K[last])) * amount, scaled)


def _compare(of: str, at: int, measured: float, told: Prediction) -> Withheld:
    value, low, high = float(told.value), float(told.low), float(told.high)
    return Withheld(of=of, at=at, measured=measured, predicted=value, low=low, high=high, error=value / measured - 1)


def _nothing_reached(ended: Sequence[Trial]) -> str:
    if not ended:
        return "no trial has ended yet; let the study run on"
    lasts = [trial.intermediate[max(trial.intermediate)] for trial in ended if trial.intermediate]
    seen = f"; at their ends the metric lay between {min(lasts):.4g} and {max(lasts):.4g}" if lasts else ""
    return (
        f"none of {len(ended)} trials reached the target{seen}; choose an easier target, a wider range of learning "
        f"rates, or more budget.examples_per_trial"
    )
