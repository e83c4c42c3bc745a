"""What every trial scheduler is."""

from collections.abc import Sequence
from typing import Protocol

from largebatch.spaces.trial import Trial


class Scheduler(Protocol):
    """Decides at each measurement whether a trial goes on. Rebuilt from the record, it decides as if never stopped."""

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """Take in the measurements of all recorded trials, in the order of their numbers."""

    def decide(self, number: int, global_batch_size: int, examples: int, value: float) -> bool:
        """Whether to stop trial ``number``, whose metric is ``value`` (smaller is better) after ``examples``."""


class NoScheduler:
    """Every trial runs to its end."""

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``."""
        del trials

    def decide(self, number: int, global_batch_size: int, examples: int, value: float) -> bool:
        """See ``Scheduler``."""
        del number, global_batch_size, examples, value
        return False
