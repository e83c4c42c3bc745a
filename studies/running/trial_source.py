"""What an engine asks and tells: the coordinator of its own process, or, through a guest, that of another job."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Ending, Measurement, Trial
from largebatch.studies.question.study import Study
from largebatch.studies.record.checkpoint_store import CheckpointStore


class Decider(Protocol):
    """Trials to launch, and what becomes of them. ``owns`` says whether this process owns the record."""

    owns: bool
    study: Study
    target: Target
    max_examples: int
    checkpoints: CheckpointStore
    curves: Path

    @property
    def waits(self) -> bool:
        """Whether there may be a next trial once one of the running ones has ended or paused."""

    @property
    def num_requeued(self) -> int:
        """Trials that wait to go on."""

    @property
    def jobs(self) -> int:
        """How many jobs serve the study."""

    @property
    def elapsed_seconds(self) -> float:
        """How long the study has run."""

    def trials(self) -> Sequence[Trial]:
        """All trials so far."""

    def refuse_what_cannot_fit(self, num_running: int) -> None:
        """Refuse so many trials at once where there is no room for their checkpoints."""

    def next_trial(self) -> Trial | None:
        """The trial to launch now; None where there is none."""

    def measure(self, number: int, measurement: Measurement) -> Action:
        """Record a measurement; what the trial is to do."""

    def end(self, number: int, ending: Ending) -> None:
        """Record how a trial ended, or that it left with its state saved."""

    def stop(self, number: int) -> None:
        """Record that a trial whose stop was decided has left."""


Watch = Callable[[Decider], AbstractContextManager[None]]
"""What shows the progress while trials run."""
