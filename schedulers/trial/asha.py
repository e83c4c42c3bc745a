"""Asynchronous successive halving, Ray Tune's, one for each batch size, with rungs in examples.

Reference: Li et al. (2020), arXiv 1810.05934. Trials of one batch size compete among themselves: after the same
examples a large batch has taken fewer steps and always looks worse. Tune forgets the rungs when a study resumes
(they are not part of its saved state), so they are rebuilt from the record.
"""

from collections.abc import Sequence

from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from largebatch.schedulers.trial.scheduler import GO_ON, Decision
from largebatch.schedulers.trial.tune_bridge import tune_result, tune_trial
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
        self._told: dict[int, int] = {}  # trial -> the examples up to which Tune knows its measurements

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``."""
        for trial in trials:
            if trial.recorded_examples > self._told.get(trial.number, -1):
                for examples in sorted(trial.intermediate):
                    self._stops(trial, examples)

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """See ``Scheduler``."""
        # Of measurements that met the target, and of repeats, nothing is decided; their place in a rung is taken.
        self.rebuild([other for other in trials if other.number != trial.number])
        examples = trial.recorded_examples
        if not self._stops(trial, examples):
            return GO_ON
        best = f"the best 1/{self._arguments['reduction_factor']}"
        size = trial.recipe.global_batch_size
        return Decision("stop", f"not among {best} of batch size {size} after {examples:,} examples")

    def _stops(self, trial: Trial, examples: int) -> bool:
        size = trial.recipe.global_batch_size
        if size not in self._halvings:
            self._halvings[size] = AsyncHyperBandScheduler(**self._arguments, stop_last_trials=False)
        halving = self._halvings[size]
        if trial.number not in self._told:
            halving.on_trial_add(None, tune_trial(trial))
        if examples <= self._told.get(trial.number, -1):
            return False
        self._told[trial.number] = examples
        decision = halving.on_trial_result(None, tune_trial(trial), tune_result(trial, examples, self._target))
        return bool(decision == TrialScheduler.STOP)
