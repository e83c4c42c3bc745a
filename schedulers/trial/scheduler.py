"""What every trial scheduler is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Action, Trial


@dataclass(frozen=True, slots=True)
class Branch:
    """A trial to begin in the place of one that stops: from ``parent``'s checkpoint, under another recipe."""

    parent: int
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a trial, and why in a few words."""

    action: Action
    why: str = ""
    branch: Branch | None = None


GO_ON = Decision("go on")


class Scheduler(Protocol):
    """Decides at each measurement whether a trial goes on. Rebuilt from the record, it decides as if never stopped."""

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """Take in the measurements of all recorded trials, in the order of their numbers."""

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """What becomes of ``trial``; ``trials`` are all so far, itself among them.

        Asked at each new measurement until it stops, and of a paused trial whenever there is room for one: ``pause``
        then lets it wait on. Trials pause only where others still have to catch up with them.
        """


class NoScheduler:
    """Every trial runs to its end."""

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``."""
        del trials

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """See ``Scheduler``."""
        del trial, trials
        return GO_ON
