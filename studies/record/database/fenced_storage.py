"""A study in a database, for one writer that may lose its right to write without being told.

The study's attribute ``owner`` names who may write, by the fence of its lease. An owner begins by putting itself there,
and each of its transactions reads the attribute, with a lock that lasts until the transaction's end: a new owner waits
for what an earlier one has begun, and what that one begins later is rolled back. SQLite's transactions begin with the
lock of the whole file.

What the owner reads it has in memory, for nobody else writes: a database is asked for nothing twice. Where it goes away
in the middle, the owner waits for it and repeats what is not known to be done: each act twice is as good as once.
"""

import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import sqlalchemy
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from largebatch.spaces.errors import UserError
from largebatch.studies.record.database.database import Database, may_pass, reason
from largebatch.studies.record.lease.lease import LeaseLost

RECONNECT_SECONDS = 60.0
"""How long a database may be away before the study ends."""
RETRY_SECONDS = 1.0
_OWNER = "owner"
_T = TypeVar("_T")

_ATTRIBUTES = sqlalchemy.table(
    "study_user_attributes",
    sqlalchemy.column("study_id", sqlalchemy.Integer),
    sqlalchemy.column("key", sqlalchemy.String),
    sqlalchemy.column("value_json", sqlalchemy.Text),
)
_TRIALS = sqlalchemy.table("trials", sqlalchemy.column("study_id", sqlalchemy.Integer))
"""Of Optuna's tables: optuna/storages/_rdb/models.py."""


class DatabaseUnavailable(UserError):
    """The database did not come back; the study ends, and the same command goes on."""


class _DoneBefore(Exception):
    """The trial is there: the connection was lost after it had been created, before that was known."""


class FencedStorage(InMemoryStorage):
    """Reads from memory; writes to the database, then to memory. A trial's id is its number here.

    ``refuse`` raises where this process may not write any more.
    """

    def __init__(self, database: Database, study_name: str, fence: int, refuse: Callable[[], None]) -> None:
        """Take over the study, or begin it.

        Raises:
            UserError: if a newer owner has it.
        """
        super().__init__()
        self._database, self._refuse = database, refuse
        self._rdb = database.open(create=True)
        if database.file is not None:
            sqlalchemy.event.listen(self._rdb.engine, "connect", _leave_transactions_to_us)
            sqlalchemy.event.listen(self._rdb.engine, "begin", _begin_with_the_lock)
            self._rdb.engine.dispose()
        with suppress(DuplicatedStudyError):
            self._rdb.create_new_study([StudyDirection.MINIMIZE], study_name)
        self._row = self._rdb.get_study_id_from_name(study_name)
        self._mine = json.dumps({"fence": fence, "token": secrets.token_hex(8)})
        self._claim(fence)
        self._file_number = database.file_number()
        self._num_trials: int | None = None  # with the one that is being created
        self._away = False
        sqlalchemy.event.listen(self._rdb.scoped_session, "before_commit", self._check)
        self._study = super().create_new_study([StudyDirection.MINIMIZE], study_name)
        for name, value in self._rdb.get_study_user_attrs(self._row).items():
            super().set_study_user_attr(self._study, name, value)
        self._ids: list[int] = []
        for trial in self._rdb.get_all_trials(self._row, deepcopy=False):
            self._ids.append(trial._trial_id)
            super().create_new_trial(self._study, trial)

    @property
    def study_id(self) -> int:
        """Of the study, here."""
        return self._study

    def _claim(self, fence: int) -> None:
        where = (_ATTRIBUTES.c.study_id == self._row) & (_ATTRIBUTES.c.key == _OWNER)
        nobody = json.dumps({"fence": 0})
        with suppress(IntegrityError), self._rdb.engine.begin() as connection:
            connection.execute(_ATTRIBUTES.insert().values(study_id=self._row, key=_OWNER, value_json=nobody))
        with self._rdb.engine.begin() as connection:
            asked = sqlalchemy.select(_ATTRIBUTES.c.value_json).where(where).with_for_update()
            if json.loads(connection.execute(asked).scalar_one())["fence"] >= fence:
                self._refuse()
                raise UserError(
                    f"{self._database} has a newer owner of this study: is this directory a copy of the one that runs "
                    f"it? Go on in that one, or give --fresh to begin anew here"
                )
            connection.execute(_ATTRIBUTES.update().where(where).values(value_json=self._mine))

    def _check(self, session: Session) -> None:
        """Refuse the transaction of an owner that was taken over; the lock makes a new one wait for the others."""
        asked = sqlalchemy.select(_ATTRIBUTES.c.value_json).where(
            (_ATTRIBUTES.c.study_id == self._row) & (_ATTRIBUTES.c.key == _OWNER)
        )
        if session.execute(asked.with_for_update(read=True)).scalar_one_or_none() != self._mine:
            self._refuse()
            raise LeaseLost(f"the study in {self._database} has a newer owner; this one has written nothing since")
        if self._num_trials is not None:
            counted = sqlalchemy.select(sqlalchemy.func.count()).select_from(_TRIALS)
            if session.execute(counted.where(_TRIALS.c.study_id == self._row)).scalar_one() != self._num_trials:
                raise _DoneBefore

    def _refuse_replaced(self) -> None:
        self._refuse()
        if self._database.file_number() != self._file_number:
            raise LeaseLost(
                f"{self._database.file} is not the file that this process writes: it was removed, replaced or put "
                f"back from a copy meanwhile; nothing was written to it since. The same command goes on from what it "
                f"holds"
            )

    def _lasting(self, act: Callable[[], _T]) -> _T:
        """What ``act`` returns; tried again while the database is away, for ``RECONNECT_SECONDS``.

        Raises:
            DatabaseUnavailable: if it does not come back.
            UserError: if it refuses what is written.
        """
        until = None
        while True:
            self._refuse_replaced()
            try:
                return act()
            except (SQLAlchemyError, StorageInternalError) as error:
                if not may_pass(error):
                    with self._database.told():
                        raise
                now = time.monotonic()
                if until is None:
                    until = now + (0 if self._away else RECONNECT_SECONDS)
                    words = f"{self._database} does not answer ({reason(error)}): waiting for it"
                    print(words, file=sys.stderr, flush=True)
                if now >= until:
                    self._away = True
                    raise DatabaseUnavailable(
                        f"{self._database} did not answer for {RECONNECT_SECONDS:.0f} s ({reason(error)}); what was "
                        f"recorded is safe"
                    ) from error
                time.sleep(RETRY_SECONDS)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Append a trial, once."""
        assert template_trial is not None
        self._num_trials = len(self._ids) + 1
        try:
            trial_id = self._lasting(lambda: self._rdb.create_new_trial(self._row, template_trial))
        except _DoneBefore:
            trial_id = self._lasting(lambda: self._created(template_trial))
        finally:
            self._num_trials = None
        self._ids.append(trial_id)
        return super().create_new_trial(study_id, template_trial)

    def _created(self, template: FrozenTrial) -> int:
        trial = self._rdb.get_trial(self._rdb.get_trial_id_from_study_id_trial_number(self._row, len(self._ids)))
        if trial.user_attrs != json.loads(json.dumps(template.user_attrs)):
            raise UserError(f"{self._database}: somebody else wrote a trial into this study; nothing was written")
        return trial._trial_id

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Record the end of a trial."""
        self.check_trial_is_updatable(trial_id, self.get_trial(trial_id).state)

        def act() -> None:
            with suppress(UpdateFinishedTrialError):  # in memory it has not ended: we did that, and did not know it
                self._rdb.set_trial_state_values(self._ids[trial_id], state, values)

        self._lasting(act)
        return super().set_trial_state_values(trial_id, state, values)

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Record a measurement."""
        self._lasting(lambda: self._rdb.set_trial_intermediate_value(self._ids[trial_id], step, intermediate_value))
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Record a fact about a trial."""
        self._lasting(lambda: self._rdb.set_trial_user_attr(self._ids[trial_id], key, value))
        super().set_trial_user_attr(trial_id, key, value)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Record a fact about the study."""
        self._lasting(lambda: self._rdb.set_study_user_attr(self._row, key, value))
        super().set_study_user_attr(study_id, key, value)


def _leave_transactions_to_us(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # Python's driver would begin them late, without the lock


def _begin_with_the_lock(connection: sqlalchemy.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
