"""A ledger in a file: read as it grows by anybody, appended to by its owner."""

import gc
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Trial
from largebatch.studies.record.ledger_state import LedgerState, Operation

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from largebatch.studies.record.database.database import Database

CHUNK_BYTES = 500_000
_MINIMIZE = 1


class Journal:
    """The trials of one study in the file at ``path``, as far as it was read; each line is read once."""

    def __init__(self, path: Path, study_name: str) -> None:
        self._path = path
        self.state = LedgerState(study_name)
        self._read_bytes = 0
        self._lock = threading.RLock()

    def read(self) -> Iterator[float]:
        """Read what is new, a chunk at a time, and yield which fraction is read; a half-written last line waits.

        Raises:
            UserError: if it is another file than before.
        """
        size_bytes = self._path.stat().st_size
        if size_bytes < self._read_bytes:
            raise UserError(f"{self._path} has become shorter: it is not the ledger that was opened; open it again")
        with self._path.open("rb") as file, _no_collection():
            file.seek(self._read_bytes)
            rest = b""
            while chunk := file.read(CHUNK_BYTES):
                whole, end, rest = (rest + chunk).rpartition(b"\n")
                if end:
                    for entry in json.loads(b"[" + whole.replace(b"\n", b",") + b"]"):
                        self.state.apply(entry)
                    self._read_bytes += len(whole) + 1
                    yield min(1.0, self._read_bytes / size_bytes)

    def read_all(self) -> LedgerState:
        """What the file says now."""
        with self._lock:
            for _ in self.read():
                pass
            return self.state

    def trials(self) -> list[Trial]:
        """All trials, in the order of their numbers."""
        with self._lock:
            return self.read_all().trials()

    def trial(self, number: int) -> Trial:
        """One of them."""
        with self._lock:
            return self.read_all().trial(number)

    def attributes(self) -> Mapping[str, Any]:
        """Of the study."""
        with self._lock:
            return dict(self.read_all().attributes)

    def taken_requests(self) -> set[str]:
        """Names of the requests that have become trials."""
        return self.read_all().taken


class OwnJournal(Journal):
    """The same for its owner, which appends to it; begun where it is not there.

    Args:
        path: The file.
        study_name: The study's name there.
        fence: Of the lease: an owner with a higher one takes over.
        refuse: Raises where this process holds the lease no longer.
    """

    def __init__(self, path: Path, study_name: str, fence: int, refuse: Callable[[], None]) -> None:
        from largebatch.studies.record.lease.fenced_journal import FencedJournal

        super().__init__(path, study_name)
        self._file = FencedJournal(path, fence, refuse)
        self._num_lines = 0
        self._process = uuid.uuid4()
        self._take()
        if self.read_all().study_id is None:
            self._append(Operation.CREATE_STUDY, study_name=study_name, directions=[_MINIMIZE])

    def read_all(self) -> LedgerState:
        """What the file says, which nobody else writes but for the notes of optuna-dashboard."""
        with self._lock:
            return self.state

    def _append(self, operation: Operation, **fields: Any) -> None:
        with self._lock:
            worker = f"{self._process}-{threading.get_ident()}"
            self._file.append_logs([{"op_code": int(operation), "worker_id": worker, **fields}])
            self._take()

    def _take(self) -> None:
        for entry in self._file.read_logs(self._num_lines):
            self._num_lines += 1
            self.state.apply(entry)

    def create(
        self, attributes: Mapping[str, Any], parameters: Mapping[str, Any],
        distributions: Mapping[str, "BaseDistribution"],
    ) -> int:  # fmt: skip
        """Append a trial and return its number."""
        from optuna.distributions import distribution_to_json

        with self._lock:
            number = len(self.state)
            self._append(
                Operation.CREATE_TRIAL,
                study_id=self.state.study_id,
                datetime_start=_now(),
                state=0,
                value=None,
                values=None,
                distributions={name: distribution_to_json(one) for name, one in distributions.items()},
                params={name: distributions[name].to_internal_repr(value) for name, value in parameters.items()},
                user_attrs=attributes,
                system_attrs={},
                intermediate_values={},
            )
            return number

    def set_attribute(self, number: int, name: str, value: Any) -> None:
        """Append a fact about a trial."""
        self._append(Operation.TRIAL_ATTRIBUTE, trial_id=self._id(number), user_attr={name: value})

    def measure(self, number: int, examples: int, value: float) -> None:
        """Append a measurement."""
        self._append(Operation.VALUE, trial_id=self._id(number), step=examples, intermediate_value=value)

    def end(self, number: int, state: int, value: float | None) -> None:
        """Append that a trial has ended; ``state`` is Optuna's."""
        values = None if value is None else [value]
        self._append(Operation.STATE, trial_id=self._id(number), state=state, values=values, datetime_complete=_now())

    def set_study_attribute(self, name: str, value: Any) -> None:
        """Append a fact about the study."""
        self._append(Operation.STUDY_ATTRIBUTE, study_id=self.state.study_id, user_attr={name: value})

    def _id(self, number: int) -> int:
        return self.state.open_id(number)


def holds_study(place: "Path | Database", name: str) -> bool:
    """Whether a study of that name has begun there; a damaged file is taken for one, for it is refused when read.

    Raises:
        UserError: if the database is away.
    """
    if not isinstance(place, Path):
        from largebatch.studies.record.database.database_ledger import DatabaseLedger

        with place.told():
            return DatabaseLedger.read(place, name) is not None
    try:
        with place.open("rb") as file:
            for line in file:
                entry = json.loads(line)
                if entry["op_code"] == Operation.CREATE_STUDY and entry["study_name"] == name:
                    return True
    except FileNotFoundError:
        return False
    except (ValueError, LookupError, TypeError, RecursionError):
        return True
    return False


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing of a ledger refers to itself, and Python would look through all of it again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="microseconds")
