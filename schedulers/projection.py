"""``projection``: stops a trial whose projected first passage can no longer matter to the plan.

A trial matters if, at some worker count, it may still reach the target sooner than the best trial so far: its time
there is its steps times a step's seconds at that worker count. Its steps are projected along the curves of trials that
reached the target (``spaces/first_passage.py``); the optimistic end of the projection's interval decides, so that a
trial stops late rather than wrongly. Without a projection, what it has trained already is the optimistic end.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from largebatch.schedulers.scheduler import GO_ON, Decision
from largebatch.spaces.first_passage import passages, project
from largebatch.spaces.step_seconds import StepSeconds
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

OPTIMISM = 1.64
"""Standard deviations between the projection and its optimistic end: one trial in 20 is better."""


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
        examples = max(trial.intermediate)
        if not reached or examples < self.grace_examples:
            return GO_ON
        projection = project(trial, passages(reached, self.target), self.target)
        low = float(examples)
        if projection is not None:
            low = max(low, math.exp(projection.log_examples - OPTIMISM * projection.spread))
        size = trial.recipe.global_batch_size
        soonest_W = math.log(low / size) + self.seconds.log_seconds(size)
        best_W = np.min([self._log_times(other) for other in reached], axis=0)
        if (soonest_W < best_W).any():
            return GO_ON
        why = f"projected to take at least {low / size:.3g} steps, too many to be the best at any worker count"
        return Decision("stop", why)

    def _log_times(self, trial: Trial) -> np.ndarray:
        """log(time to target) at each worker count of a trial that reached it."""
        steps = max(trial.steps_to_target or 0.0, 1e-9)
        return np.asarray(math.log(steps) + self.seconds.log_seconds(trial.recipe.global_batch_size))
