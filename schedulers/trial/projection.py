"""``projection``: stops a trial whose projected first passage can no longer matter to the plan.

A trial matters if, at some worker count, it may still reach the target sooner than the best trial so far: its time
there is its steps times a step's seconds at that worker count. Its steps are projected along the curves of trials that
reached the target (``spaces/curve_projection.py``); the optimistic end of the projection's interval decides, so that a
trial stops late rather than wrongly. Without a projection, what it has trained already is the optimistic end. Trials
whose recipe was tried before are waited for longer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from largebatch.schedulers.trial.scheduler import GO_ON, Decision
from largebatch.spaces.curve_projection import passages, project
from largebatch.spaces.number_text import format_number
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_seconds import StepSeconds
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

OPTIMISM = 1.64
"""Standard deviations between the projection and its optimistic end: one trial in 20 is better."""


UNLUCKY, NEARLY = 3.0, math.log(1.25)
"""A training is waited for up to so many times what another one of its recipe took; rates that are nearly the same."""


@dataclass(frozen=True, slots=True)
class Projection:
    """See the module; nothing is kept between decisions."""

    target: Target
    seconds: StepSeconds
    grace_examples: int

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``: every decision looks at all trials anyway."""
        del trials

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """See ``Scheduler``."""
        reached = [other for other in trials if other.reached]
        examples = trial.recorded_examples
        if not reached or examples < self.grace_examples:
            return GO_ON
        projection = project(trial, passages(reached, self.target), self.target)
        low = float(examples)
        if projection is not None:
            low = max(low, math.exp(projection.log_examples - OPTIMISM * projection.spread))
        size = trial.recipe.global_batch_size
        soonest_W = math.log(low / size) + self.seconds.log_seconds(size)
        best_W = np.min([self._log_times(other) for other in reached], axis=0)
        if (soonest_W < best_W).any() or self._tells_of_luck(trial, reached):
            return GO_ON
        least = format_number(low / size)
        why = f"projected to take at least {least} steps, too many to be the best at any worker count"
        return Decision("stop", why)

    def _tells_of_luck(self, trial: Trial, reached: Sequence[Trial]) -> bool:
        """Whether it has trained no more than a few times what a trial took whose recipe is nearly the same.

        Of a recipe that did well once, the unlucky trainings must be seen too, or it would be known by its luckiest.
        """
        alike = [other for other in reached if _nearly_the_same(other.recipe, trial.recipe)]
        usual = min((other.examples_to_target or math.inf for other in alike), default=0.0)
        return trial.recorded_examples < UNLUCKY * usual

    def _log_times(self, trial: Trial) -> np.ndarray:
        """log(time to target) at each worker count of a trial that reached it; at the latest where that is known alone.

        Between two evaluations the straight line lies above a curve that flattens: what it says is late enough.
        """
        passage = trial.passage
        steps = 0.0 if passage is None else passage.high if passage.is_bound else passage.middle
        steps = max(steps, 1e-9)
        return np.asarray(math.log(steps) + self.seconds.log_seconds(trial.recipe.global_batch_size))


def _nearly_the_same(first: Recipe, second: Recipe) -> bool:
    """But for the seed, and for a rate that makes no difference."""
    alike = first.model_copy(update={"seed": second.seed, "learning_rate": second.learning_rate})
    return alike == second and abs(math.log(first.learning_rate / second.learning_rate)) <= NEARLY
