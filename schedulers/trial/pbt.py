"""Population based training: worse trials give way to branches of better ones, whose recipes change on the way.

Reference: Jaderberg et al. (2017), arXiv 1711.09846: truncation selection (appendix A.1), perturbation by 1.2 or 0.8.
The population is the study's trials, and advances together: at every multiple of ``perturbation_examples`` trials pause
until all have come as far, so that what follows does not depend on which was faster, nor on how many run at once.
Departures: members of one batch size are compared, so that the one that has made most steps does not always win; and
nothing is perturbed in place: a branch is a trial of its own, so that a recipe stays one value.
Ray Tune's PopulationBasedTraining draws from Python's global random numbers and keeps its decisions in its controller,
where a resumed study cannot find them; hence this one, whose decisions follow from the record.
"""

import math
from collections.abc import Sequence

import numpy as np

from largebatch.schedulers.trial.scheduler import GO_ON, Branch, Decision
from largebatch.schedulers.trial.tune_bridge import WORST, signed_value
from largebatch.spaces.domain import Domain, Range, Value
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

QUANTILE = 0.2
"""The share of a batch size's trials that give way, and that are branched from."""
FACTORS = (0.8, 1.2)
"""By which a rate is perturbed."""


class Pbt:
    """Replaces the worst fifth of each batch size by branches of the best.

    Args:
        target: Whose metric is compared.
        space: Where recipes stay: a rate within its bounds, a batch size among its values.
        perturbation_examples: Examples from one comparison to the next.
        max_examples: Where trials end anyway.
        seed: The study's.
    """

    def __init__(
        self, *, target: Target, space: Space, perturbation_examples: int, max_examples: int, seed: int
    ) -> None:
        self._target, self._space, self._seed = target, space, seed
        self._interval, self._max_examples = perturbation_examples, max_examples

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``: each decision follows from the record itself."""

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """See ``Scheduler``."""
        if trial.paused_at is not None:
            return self._after_pause(trial, trials, trial.paused_at // self._interval)
        examples = sorted(trial.intermediate)
        before = examples[-2] if len(examples) > 1 else trial.first_examples
        same_round = examples[-1] // self._interval == before // self._interval
        is_last = examples[-1] + trial.recipe.global_batch_size > self._max_examples
        return GO_ON if same_round or is_last else Decision("pause")

    def _after_pause(self, trial: Trial, trials: Sequence[Trial], round_number: int) -> Decision:
        """What becomes of a trial that waits for the others to come as far as it is."""
        at = round_number * self._interval
        alive = [other for other in trials if other.ending is None]
        if any(self._is_behind(other, at) for other in alive):
            return Decision("pause")
        size = trial.recipe.global_batch_size
        values = {other.number: self._value_at(other, at) for other in trials if other.recipe.global_batch_size == size}
        ranked = sorted((value, number) for number, value in values.items() if value is not None)
        count = min(math.ceil(QUANTILE * len(ranked)), len(ranked) // 2)
        if count == 0 or trial.number not in [number for _, number in ranked[-count:]]:
            return GO_ON
        own = values[trial.number]
        assert own is not None
        waiting = {other.number for other in alive if other.paused_at is not None}
        better = [number for value, number in ranked[:count] if value < min(own, WORST) and number in waiting]
        if not better:
            return GO_ON
        rng = np.random.default_rng((self._seed, trial.number, round_number))
        parent = better[int(rng.integers(len(better)))]
        why = f"among the worst {QUANTILE:.0%} of batch size {size} after {at:,} examples"
        return Decision("stop", why, Branch(parent, self._perturbed(trials[parent].recipe, rng)))

    def _is_behind(self, trial: Trial, at: int) -> bool:
        """Whether a trial has yet to pause at the comparison after ``at`` examples."""
        so_far = trial.paused_at if trial.paused_at is not None else trial.examples
        if so_far // self._interval < at // self._interval:
            return True
        between = so_far < at + self._interval
        return trial.paused_at is None and between and self._value_at(trial, at) is not None

    def _value_at(self, trial: Trial, at: int) -> float | None:
        """The first metric from ``at`` on, None where the trial has none or is a branch made since."""
        if trial.first_examples >= at:
            return None
        later = [examples for examples in trial.intermediate if examples >= at]
        return signed_value(trial, min(later), self._target) if later else None

    def _perturbed(self, recipe: Recipe, rng: np.random.Generator) -> Recipe:
        """Another rate, and perhaps a neighbouring batch size, still in the space."""
        rate = _moved(self._space.root["learning_rate"], recipe.learning_rate, (-1, 1), rng)
        size = _moved(self._space.root["global_batch_size"], recipe.global_batch_size, (-1, 0, 1), rng)
        changed = recipe.model_copy(update={"learning_rate": float(rate), "global_batch_size": int(size)})
        if self._space.contains(changed):
            return changed
        return changed.model_copy(update={"global_batch_size": recipe.global_batch_size})  # other values hang on it


def _moved(domain: Domain, value: float, shifts: Sequence[int], rng: np.random.Generator) -> Value:
    listed = domain.values()
    if listed is None:
        assert isinstance(domain, Range)
        return min(max(value * FACTORS[int(rng.integers(2))], domain.low), domain.high)
    ascending = sorted(listed)
    place = ascending.index(value) + int(rng.choice(shifts))
    return ascending[min(max(place, 0), len(ascending) - 1)]
