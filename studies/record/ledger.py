"""The record of a study: an Optuna journal file or database, written before anybody acts on what it says.

Each trial is an Optuna trial: searched values are its parameters, the recipe, owner and ending its user attributes,
the target's metric its intermediate values by examples, examples to target its value. ``optuna-dashboard ledger.log``
opens it. One coordinator writes, under the study directory's lease; anybody may read.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from largebatch.spaces.domain import Choice, Domain
from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable_values
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Ending, Measurement, Origin, Outcome, Trial
from largebatch.studies.record.damaged_ledger import damage_told
from largebatch.studies.record.journal import Journal, OwnJournal
from largebatch.studies.record.ledger_state import REQUEST

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from largebatch.studies.record.database.database import Database
    from largebatch.studies.record.database.database_ledger import DatabaseLedger

_COMPLETE, _PRUNED, _FAILED = 1, 2, 3
"""Of Optuna's TrialState."""
_STATES = {Outcome.REACHED: _COMPLETE, Outcome.FAILED: _FAILED}


class Ledger:
    """Reads; with ``create`` also appends, and makes the study where it is not there: for the holder of the lease.

    Args:
        place: The journal file, or the database.
        study_name: The study's name there.
        create: Whether to own it.
        fence: Of the lease: an owner with a higher one takes over.
        refuse_if_taken_over: Raises where this process holds the lease no longer.
    """

    def __init__(
        self, place: "Path | Database", study_name: str, *, create: bool, fence: int = 1,
        refuse_if_taken_over: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Open it.

        Raises:
            UserError: if it is damaged, cannot be reached, or holds nothing of that study and is not to be begun.
        """
        self._place, self._name, self.refuse_if_taken_over = place, study_name, refuse_if_taken_over
        self._owned: OwnJournal | DatabaseLedger | None = None
        with self._told():
            if create:
                self._owned = _own(place, study_name, fence, refuse_if_taken_over)
            self._read = self._owned or _read(place, study_name)

    def _told(self) -> AbstractContextManager[None]:
        return damage_told(self._place, self._read_whole) if isinstance(self._place, Path) else self._place.told()

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers.

        Raises:
            UserError: if what is recorded of one is no trial.
        """
        with self._told():
            return self._read.trials()

    def trial(self, number: int) -> Trial:
        """One of them; unlike all, it costs the same however many there are.

        Raises:
            UserError: if what is recorded of it is no trial.
        """
        with self._told():
            return self._read.trial(number)

    def _read_whole(self, path: Path) -> None:
        """Read the ledger at ``path`` as this one is read, to find out how far it can be."""
        Journal(path, self._name).trials()

    @property
    def _write(self) -> "OwnJournal | DatabaseLedger":
        assert self._owned is not None, "this ledger was opened to be read"
        return self._owned

    def create(
        self, space: Space, recipe: Recipe, *, num_devices: int, owner: str, why: str = "",
        repeat_of: int | None = None, request: str | None = None, origin: Origin | None = None,
    ) -> Trial:  # fmt: skip
        """Append a running trial, or with ``origin`` a paused one.

        ``why`` says why it was proposed, ``repeat_of`` which trial it repeats, ``request`` what asked for it.
        """
        values = recipe.model_dump()
        active = space.active(values)
        # Optuna's categories are the same in all trials: a human's own value is in the recipe alone.
        searched = {
            name: domain
            for name, domain in space.root.items()
            if name in active and (domain.values() is None or domain.contains(values[name]))
        }
        number = self._write.create(
            {
                "recipe": values,
                "num_devices": num_devices,
                "owner": owner,
                "why": why,
                "repeat_of": repeat_of,
                "request": request,
                **({"origin": asdict(origin), "paused_at": origin.examples} if origin is not None else {}),
            },
            {name: values[name] for name in searched},
            {name: _distribution(domain, values[name]) for name, domain in searched.items()},
        )
        return self.trial(number)

    def start_again(self, number: int, owner: str) -> None:
        """Give a trial that its driver left running, or a paused one, to ``owner``."""
        self._write.set_attribute(number, "owner", owner)
        self._write.set_attribute(number, "paused_at", None)

    def pause(self, number: int, examples: int) -> None:
        """Append that the trial waits, its state after ``examples`` saved."""
        self._write.set_attribute(number, "paused_at", examples)

    def measure(self, number: int, measurement: Measurement, metric: str) -> None:
        """Append the target's metric at one evaluation."""
        self._write.measure(number, measurement.examples, measurement.values[metric])

    def end(self, number: int, ending: Ending) -> None:
        """Append how the trial ended; after this it is never changed."""
        self._write.set_attribute(number, "ending", {**asdict(ending), "outcome": ending.outcome.value})
        value = replace(self.trial(number), ending=ending).examples_to_target
        self._write.end(number, _STATES.get(ending.outcome, _PRUNED), value)

    def record_request(self, name: str, request: Mapping[str, Any]) -> None:
        """Record what somebody asked of the study."""
        self._write.set_study_attribute(REQUEST + name, dict(request))

    def requests(self) -> dict[str, dict[str, Any]]:
        """All that was asked, by name, in the order of asking."""
        attributes = self._read.attributes()
        asked = sorted(name for name in attributes if name.startswith(REQUEST))
        return {name.removeprefix(REQUEST): printable_values(attributes[name]) for name in asked}

    def taken_requests(self) -> set[str]:
        """Names of the requests that have become trials."""
        return self._read.taken_requests()

    def set_elapsed_seconds(self, seconds: float) -> None:
        """Record how long the study has run, all its sessions together."""
        self._write.set_study_attribute("elapsed_seconds", seconds)

    def elapsed_seconds(self) -> float:
        """How long the study has run."""
        return float(self._read.attributes().get("elapsed_seconds", 0.0))


def _own(place: "Path | Database", name: str, fence: int, refuse: Callable[[], None]) -> "OwnJournal | DatabaseLedger":
    if isinstance(place, Path):
        return OwnJournal(place, name, fence, refuse)
    from largebatch.studies.record.database.database_ledger import DatabaseLedger

    return DatabaseLedger.owned(place, name, fence, refuse)


def _read(place: "Path | Database", name: str) -> "Journal | DatabaseLedger":
    if isinstance(place, Path):
        journal = Journal(place, name)
        if journal.read_all().study_id is not None:
            return journal
    else:
        from largebatch.studies.record.database.database_ledger import DatabaseLedger

        if (found := DatabaseLedger.read(place, name)) is not None:
            return found
    raise UserError(f"{place} holds nothing of {name} yet; `largebatch run` begins it, or goes on")


def _distribution(domain: Domain, value: Any) -> "BaseDistribution":
    """A domain as Optuna's: wide enough for a value beyond it, for a searcher may move a range."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.choices)
    values = domain.values()
    if values is not None:
        return CategoricalDistribution(tuple(int(value) for value in values))
    low, high = min(domain.low, value), max(domain.high, value)
    return FloatDistribution(low, high, log=domain.scale == "log")
