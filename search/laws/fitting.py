"""All laws of a study from its trials and its step times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from largebatch.search.laws.law import Law
from largebatch.search.laws.learning_rate_law import fit_learning_rate_law
from largebatch.search.laws.step_time_law import StepTimeLaw, fit_step_time_law
from largebatch.search.laws.steps_law import fit_steps_law
from largebatch.search.laws.valley import BatchOptimum, Valley, fit_valley
from largebatch.spaces.step_time_profile import StepTimeProfile
from largebatch.spaces.trial import Trial
from largebatch.spaces.user_mistake import UserMistake

NUM_DRAWS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedLaws:
    """The laws, and the valley's optima that they were fitted to."""

    valley: Valley
    steps: Law
    learning_rate: Law
    step_seconds: StepTimeLaw | None

    @property
    def optima(self) -> tuple[BatchOptimum, ...]:
        """The best of each batch size."""
        return self.valley.optima


def fit_laws(trials: Sequence[Trial], profile: StepTimeProfile | None, *, seed: int = 0) -> FittedLaws:
    """Fit steps, learning rate and step seconds; the same trials and seed give the same laws.

    Raises:
        UserMistake: if no trial reached the target.
    """
    ended = [trial for trial in trials if trial.ending is not None]
    if not any(trial.reached for trial in ended):
        raise UserMistake(_nothing_reached(ended))
    rng = np.random.default_rng(seed)
    valley = fit_valley(ended, num_draws=NUM_DRAWS, rng=rng)
    return FittedLaws(
        valley=valley,
        steps=fit_steps_law(valley, rng=rng),
        learning_rate=fit_learning_rate_law(valley, rng=rng),
        step_seconds=fit_step_time_law(profile, num_draws=NUM_DRAWS, rng=rng) if profile is not None else None,
    )


def _nothing_reached(ended: Sequence[Trial]) -> str:
    if not ended:
        return "no trial has ended yet; let the study run on"
    lasts = [trial.intermediate[max(trial.intermediate)] for trial in ended if trial.intermediate]
    seen = f"; at their ends the metric lay between {min(lasts):.4g} and {max(lasts):.4g}" if lasts else ""
    return (
        f"none of {len(ended)} trials reached the target{seen}; choose an easier target, a wider range of learning "
        f"rates, or more budget.examples_per_trial"
    )
