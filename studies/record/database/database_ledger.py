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
from largebatch.spaces.trial import Ending, Origin, Trial
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.database.fenced_storage import FencedStorage

_ENDING, _ORIGIN = TypeAdapter(Ending), TypeAdapter(Origin | None)
_INTERMEDIATE, _NUMBER = TypeAdapter(dict[int, float]), TypeAdapter(int | None)


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
            trial = self._finished.get(frozen.number) or recorded_trial(frozen)
            if trial.ending is not None:
                self._finished[trial.number] = trial
            trials.append(trial)
        return trials

    def trial(self, number: int) -> Trial:
        """One of them."""
        return self._finished.get(number) or recorded_trial(self._storage.get_trial(self._id(number)))

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


def recorded_trial(frozen: FrozenTrial) -> Trial:
    """The trial that Optuna recorded.

    Raises:
        ValueError: if it is none.
    """
    ending, origin = frozen.user_attrs.get("ending"), frozen.user_attrs.get("origin")
    if frozen.state.is_finished() and ending is None:
        raise ValueError(f"trial {frozen.number} has ended, and nothing says how")
    paused_at = frozen.user_attrs.get("paused_at") if frozen.state is TrialState.RUNNING else None
    return Trial(
        number=frozen.number,
        recipe=Recipe.model_validate(frozen.user_attrs["recipe"]),
        num_devices=int(frozen.user_attrs["num_devices"]),
        running=frozen.state is TrialState.RUNNING and paused_at is None,
        intermediate=_INTERMEDIATE.validate_python(frozen.intermediate_values),
        ending=_ENDING.validate_python(ending) if frozen.state.is_finished() else None,
        why=str(frozen.user_attrs.get("why", "")),
        repeat_of=_NUMBER.validate_python(frozen.user_attrs.get("repeat_of")),
        origin=_ORIGIN.validate_python(origin),
        paused_at=_NUMBER.validate_python(paused_at),
    )


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
