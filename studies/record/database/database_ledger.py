"""A ledger in a database, through Optuna's storages; trials that have ended are built once."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from pydantic import TypeAdapter

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Trial
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.database.fenced_storage import FencedStorage
from largebatch.studies.record.recorded_trial import recorded_trial

_INTERMEDIATE = TypeAdapter(dict[int, float])


class DatabaseLedger:
    """What ``Journal`` is for a file; with a fence, what ``OwnJournal`` is."""

    def __init__(self, storage: BaseStorage, study: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage, self._study = storage, study
        self._ids: dict[int, int] = {}
        self._finished: dict[int, Trial] = {}  # they never change, and building them anew would cost

    @classmethod
    def read(cls, database: Database, name: str) -> "DatabaseLedger | None":
        """To be read; None where the study is not there."""
        storage = database.open(create=False)
        try:
            return cls(storage, storage.get_study_id_from_name(name))
        except KeyError:
            return None

    @classmethod
    def owned(cls, database: Database, name: str, fence: int, refuse: Callable[[], None]) -> "DatabaseLedger":
        """To be written."""
        storage = FencedStorage(database, name, fence, refuse)
        return cls(storage, storage.study_id)

    def trials(self) -> list[Trial]:
        """All trials, in the order of their numbers."""
        trials = []
        for frozen in self._storage.get_all_trials(self._study, deepcopy=False):
            trial = self._finished.get(frozen.number) or frozen_trial(frozen)
            if trial.ending is not None:
                self._finished[trial.number] = trial
            trials.append(trial)
        return trials

    def trial(self, number: int) -> Trial:
        """One of them."""
        return self._finished.get(number) or frozen_trial(self._storage.get_trial(self._id(number)))

    def attributes(self) -> Mapping[str, Any]:
        """Of the study."""
        return self._storage.get_study_user_attrs(self._study)

    def taken_requests(self) -> set[str]:
        """Names of the requests that have become trials."""
        trials = self._storage.get_all_trials(self._study, deepcopy=False)
        return {trial.user_attrs["request"] for trial in trials if trial.user_attrs.get("request") is not None}

    def create(
        self,
        attributes: Mapping[str, Any],
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
    ) -> int:
        """Append a trial and return its number."""
        template = optuna.trial.create_trial(
            state=TrialState.RUNNING, params=dict(parameters), distributions=dict(distributions),
            user_attrs=dict(attributes),
        )  # fmt: skip
        trial_id = self._storage.create_new_trial(self._study, template_trial=template)
        number = self._storage.get_trial_number_from_id(trial_id)
        self._ids[number] = trial_id
        return number

    def set_attribute(self, number: int, name: str, value: Any) -> None:
        """Append a fact about a trial."""
        self._storage.set_trial_user_attr(self._id(number), name, value)

    def measure(self, number: int, examples: int, value: float) -> None:
        """Append a measurement."""
        self._storage.set_trial_intermediate_value(self._id(number), examples, value)

    def end(self, number: int, state: int, value: float | None) -> None:
        """Append that a trial has ended; ``state`` is Optuna's."""
        values = None if value is None else [value]
        self._storage.set_trial_state_values(self._id(number), TrialState(state), values)

    def set_study_attribute(self, name: str, value: Any) -> None:
        """Append a fact about the study."""
        self._storage.set_study_user_attr(self._study, name, value)

    def _id(self, number: int) -> int:
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._study, number)
        return self._ids[number]


def frozen_trial(frozen: FrozenTrial) -> Trial:
    """The trial that Optuna recorded.

    Raises:
        ValueError: if it is none.
    """
    return recorded_trial(
        frozen.number, Recipe.model_validate(frozen.user_attrs["recipe"]), frozen.user_attrs,
        _INTERMEDIATE.validate_python(frozen.intermediate_values), ended=frozen.state.is_finished(),
        running=frozen.state is TrialState.RUNNING,
    )  # fmt: skip


def copy_ledger(database: Database, name: str, file: Path, name_there: str) -> None:
    """Copy a study from a database into a new journal.

    Raises:
        UserError: if the database is away.
    """
    with database.told():
        optuna.copy_study(
            from_study_name=name,
            from_storage=database.open(create=False),
            to_storage=JournalStorage(JournalFileBackend(str(file))),
            to_study_name=name_there,
        )
