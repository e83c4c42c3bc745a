"""Follows a ledger in a database that another process writes: each look asks for what may have changed alone.

What it says of trials is what ``Ledger`` says. Trials that have ended never change; those that run are read again.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from largebatch.spaces.printable import printable_values
from largebatch.spaces.trial import Trial
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.database.database_ledger import frozen_trial
from largebatch.studies.record.ledger_state import REQUEST


class DatabaseReader:
    """The trials of one study, as far as they were read. One thread at a time may read."""

    def __init__(self, database: Database, study_name: str) -> None:
        self._database, self._name = database, study_name
        self._storage: RDBStorage | None = None
        self._study: int | None = None
        self._attributes: dict[str, Any] = {}
        self._ids: list[int] = []
        self._trials: list[Trial] = []

    def read(self) -> Iterator[float]:
        """Read what is new, and yield 1 when that is done; a study that is not begun has nothing.

        Raises:
            UserError: if the database cannot be read, or holds what no ledger holds.
        """
        with self._database.told():
            if self._storage is None:
                self._storage = self._database.open(create=False)
            if self._study is None:
                with suppress(KeyError):
                    self._study = self._storage.get_study_id_from_name(self._name)
            if self._study is not None:
                self._read(self._storage, self._study)
        yield 1.0

    def _read(self, storage: RDBStorage, study: int) -> None:
        self._attributes = storage.get_study_user_attrs(study)
        states = (TrialState.RUNNING,) if self._trials else None
        found = {trial.number: trial for trial in storage.get_all_trials(study, deepcopy=False, states=states)}
        for number, known in enumerate(self._trials):
            if known.ending is None and number not in found:
                found[number] = storage.get_trial(self._ids[number])
        self._take(found)
        with suppress(KeyError):  # those that began and ended since
            while True:
                number = len(self._trials)
                one = storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study, number))
                self._take({number: one})

    def _take(self, found: dict[int, FrozenTrial]) -> None:
        for number in sorted(found):
            trial = frozen_trial(found[number])
            if number < len(self._trials):
                if trial != self._trials[number]:
                    self._trials[number] = trial
            elif number == len(self._trials):
                self._ids.append(found[number]._trial_id)
                self._trials.append(trial)

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers; unchanged ones are the same objects as before."""
        return list(self._trials)

    def requests(self) -> list[dict[str, Any]]:
        """All that was asked, in the order of asking."""
        asked = sorted(name for name in self._attributes if name.startswith(REQUEST))
        return [printable_values(self._attributes[name]) for name in asked]

    def elapsed_seconds(self) -> float:
        """How long the study has run, all its sessions together, as far as trials have ended."""
        return float(self._attributes.get("elapsed_seconds", 0.0))
