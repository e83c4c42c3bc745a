"""Asynchronous successive halving, Ray Tune's, one for each batch size, with rungs in examples.

Reference: Li et al. (2020), arXiv 1810.05934. Trials of one batch size compete among themselves: after the same
examples a large batch has taken fewer steps and always looks worse. Tune forgets the rungs when a study resumes
(they are not part of its saved state), so they are rebuilt from the record.
"""

import math
from collections.abc import Sequence
from types import SimpleNamespace

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial


class Asha:
    """Stops a trial whose metric at a rung is outside the best ``1 / reduction_factor`` of its batch size.

    Args:
        target: Whose metric is compared.
        grace_examples: The first rung; the others are its multiples by powers of ``reduction_factor``.
        reduction_factor: Above 1.
        max_examples: Where trials end anyway.
    """

    def __init__(self, *, target: Target, grace_examples: int, reduction_factor: int, max_examples: int) -> None:
        self._target = target
        self._arguments = {
            "time_attr": "examples",
            "metric": "value",
            "mode": "min",
            "grace_period": grace_examples,
            "reduction_factor": reduction_factor,
            "max_t": max(max_examples, grace_examples),
        }
        self._halvings: dict[int, AsyncHyperBandScheduler] = {}
        self._known: set[int] = set()

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``."""
        for trial in trials:
            for examples, value in sorted(trial.intermediate.items()):
                self.decide(trial.number, trial.recipe.global_batch_size, examples, self._target.sign * value)

    def decide(self, number: int, global_batch_size: int, examples: int, value: float) -> bool:
        """See ``Scheduler``."""
        if global_batch_size not in self._halvings:
            self._halvings[global_batch_size] = AsyncHyperBandScheduler(**self._arguments, stop_last_trials=False)
        halving = self._halvings[global_batch_size]
        trial = SimpleNamespace(trial_id=str(number))
        if number not in self._known:
            self._known.add(number)
            halving.on_trial_add(None, trial)
        finite = value if math.isfinite(value) else math.inf
        decision = halving.on_trial_result(None, trial, {"examples": examples, "value": finite})
        return bool(decision == TrialScheduler.STOP)
