"""What a study directory says at one moment, as values that never change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from largebatch.search.laws.fit_laws import FittedLaws
from largebatch.search.laws.step_time.interconnects import Network
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.studies.question.study import Study

State = Literal["running", "interrupted", "not running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The record of one study. ``problem`` says in a sentence what is wrong with the directory, where something is."""

    key: str
    """The name of its folder below the one that is shown."""
    path: Path
    study: Study | None
    target: Target | None
    trials: Sequence[Trial] = ()
    requests: Sequence[Mapping[str, Any]] = ()
    """What people asked of it, in the order of asking."""
    elapsed_seconds: float = 0.0
    state: State = "not running"
    read_fraction: float = 1.0
    """Of the ledger's bytes; below 1 while a long one is read for the first time."""
    problem: str | None = None

    @property
    def steady(self) -> list[Trial]:
        """The trials that kept their recipe: laws and landscapes are of these."""
        return [trial for trial in self.trials if trial.origin is None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The laws of the first ``num_ended`` trials that ended; ``problem`` says why there are none."""

    network: Network
    num_ended: int
    trials: Sequence[Trial]
    profile: StepTimeProfile | None
    laws: FittedLaws | None = None
    problem: str | None = None
