"""What every trial scheduler is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from largebatch.spaces.trial import Trial


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a trial is to stop, and why in a few words."""

    stop: bool
    why: str = ""


GO_ON = Decision(stop=False)


class Scheduler(Protocol):
    """Decides at each measurement whether a trial goes on. Rebuilt from the record, it decides as if never stopped."""

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """Take in the measurements of all recorded trials, in the order of their numbers."""

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """What becomes of ``trial``, whose last measurement is new; ``trials`` are all so far, itself among them."""


class NoScheduler:
    """Every trial runs to its end."""

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``."""
        del trials

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """See ``Scheduler``."""
        del trial, trials
        return GO_ON
