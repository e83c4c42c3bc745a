"""Trials that had saved themselves to pause when their driver was killed, before the record said so."""

from collections.abc import Sequence

from largebatch.schedulers.trial.scheduler import Scheduler
from largebatch.spaces.trial import Trial
from largebatch.studies.record.checkpoint_store import CheckpointStore


def killed_pauses(trials: Sequence[Trial], scheduler: Scheduler, checkpoints: CheckpointStore) -> list[Trial]:
    """Those that were to pause after their last measurement and have saved their state there.

    Were they to go on, they would miss the comparison that they paused for. One that a driver had let go on again, and
    that has not come further, is among them: what is decided on it anew is what was decided, for that follows from the
    record.
    """
    return [
        trial
        for trial in trials
        if trial.running
        and trial.intermediate
        and scheduler.decide(trial, trials).action == "pause"
        and checkpoints.saved_examples(trial.number) == trial.examples
    ]
