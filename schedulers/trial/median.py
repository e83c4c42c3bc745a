"""The median stopping rule, Ray Tune's, one for each batch size, in examples.

Reference: Golovin et al. (2017), Google Vizier, doi:10.1145/3097983.3098043, section 3.2.2.
"""

from collections.abc import Sequence

from ray.tune.schedulers import MedianStoppingRule, TrialScheduler

from largebatch.schedulers.trial.scheduler import GO_ON, Decision
from largebatch.schedulers.trial.tune_bridge import tune_result, tune_trial
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial


class Median:
    """Stops a trial whose best metric is worse than the median of the other trials' means so far.

    Only trials of its batch size count, and only those that got as far.

    Args:
        target: Whose metric is compared.
        grace_examples: Before them nothing stops, and no mean counts what came before them.
        min_samples: Other trials that must have got as far.
    """

    def __init__(self, *, target: Target, grace_examples: int, min_samples: int) -> None:
        self._target, self._grace_examples, self._min_samples = target, grace_examples, min_samples
        self._rules: dict[int, MedianStoppingRule] = {}
        self._told: dict[int, int] = {}  # trial -> the examples up to which Tune knows its measurements

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``."""
        for trial in trials:
            self._take_in(trial, trial.recorded_examples)

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """See ``Scheduler``."""
        # Of measurements that met the target, of repeats and of untrained models nothing is decided; they count.
        self.rebuild([other for other in trials if other.number != trial.number])
        examples = trial.recorded_examples
        if trial.number not in self._told:
            self._take_in(trial, examples - 1)
        if examples <= self._told.get(trial.number, -1):
            return GO_ON
        self._told[trial.number] = examples
        result = tune_result(trial, examples, self._target)
        if self._rule(trial).on_trial_result(None, tune_trial(trial), result) != TrialScheduler.STOP:
            return GO_ON
        size = trial.recipe.global_batch_size
        return Decision("stop", f"worse than the median of batch size {size} after {examples:,} examples")

    def _take_in(self, trial: Trial, until: int) -> None:
        """The measurements up to ``until`` examples that Tune does not know."""
        known = self._told.get(trial.number, -1)
        if until <= known:
            return
        for examples in sorted(one for one in trial.intermediate if known < one <= until):
            self._told[trial.number] = examples
            result = tune_result(trial, examples, self._target)
            # So Tune takes in a trial's last result: without a decision.
            self._rule(trial).on_trial_complete(None, tune_trial(trial), result)

    def _rule(self, trial: Trial) -> MedianStoppingRule:
        size = trial.recipe.global_batch_size
        if size not in self._rules:
            self._rules[size] = MedianStoppingRule(
                time_attr="examples",
                metric="value",
                mode="min",
                grace_period=self._grace_examples,
                min_samples_required=self._min_samples,
                min_time_slice=float("inf"),  # never yield to other trials
            )
        return self._rules[size]
