"""The journal file of Optuna for one writer that may lose its right to write without being told.

No check before a write can help a process that is stopped between the two. So an owner begins by putting a copy of the
ledger in its place and then writes to that file alone, through a descriptor that it has had since before: what an
earlier owner still writes goes to the file that it knows, which is no longer the ledger.

Nor can a check help an owner that is stopped before it puts its copy there, which would take the place of a newer
owner's. So a copy has a name by its fence, in ``leases/``, and a new owner makes the names of all earlier ones
impossible before it reads the ledger: to put such a copy in the place of the ledger fails then. This holds on NFS,
where neither locks nor listings of a folder can be relied on.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock

from largebatch.studies.record.lease.lease import LeaseLost
from largebatch.studies.record.lease.lease_monitor import FOLDER as LEASES
from largebatch.studies.record.own_file import OwnFile

_TAIL_BYTES = 256
"""Of the last lines, by which a ledger is known again: a line names its trial and its time."""


class FencedJournal(BaseJournalBackend):
    """Takes over the file at ``path``, made if it is not there; then reads and appends to it.

    ``refuse`` raises where this process may not write any more.
    """

    def __init__(self, path: Path, fence: int, refuse: Callable[[], None]) -> None:
        """Take it over.

        Raises:
            UserError: if an owner with a higher fence has done so.
        """
        self._refuse = refuse
        self._file = OwnFile(path, _take_over(path, fence, refuse))
        self._end = os.fstat(self._file.descriptor).st_size
        self._tail = self._read_tail()
        self._lock = JournalFileSymlinkLock(str(path))  # for optuna-dashboard, which writes notes into a study
        self._begins = [0]  # where each line begins, and the next one will

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append whole lines, on disk when this returns; or, where they cannot be written, nothing.

        Raises:
            UserError: that ``refuse`` raises.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        self._refuse_all()  # where the ledger is gone its lock is never free
        self._lock.acquire()
        try:
            self._refuse_all()
            self._append(lines)
        finally:
            with suppress(RuntimeError):  # a new owner has removed it
                self._lock.release()

    def _refuse_all(self) -> None:
        """Refuse to write where this process may not, or where the ledger is not what it has written."""
        self._refuse()
        if not self._file.is_at_its_path or self._read_tail() != self._tail:
            raise LeaseLost(
                f"{self._file.path} is not the ledger that this process writes: it was removed, replaced or put back "
                f"from a copy meanwhile; nothing was written to it since. The same command goes on from what it holds"
            )

    def _read_tail(self) -> bytes:
        """What is where the last known line ends; others may have appended to it."""
        begin = max(0, self._end - _TAIL_BYTES)
        return os.pread(self._file.descriptor, self._end - begin, begin)

    def _append(self, lines: bytes) -> None:
        descriptor = self._file.descriptor
        end = os.fstat(descriptor).st_size
        try:
            while lines:
                lines = lines[os.write(descriptor, lines) :]
            os.fsync(descriptor)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, end)  # half a line would spoil the next one
            self._refuse()  # NFS forgets a file whose place another has taken
            raise OSError(error.errno, error.strerror, str(self._file.path)) from error
        self._end = os.fstat(descriptor).st_size
        self._tail = self._read_tail()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """All lines from that number on."""
        number = min(log_number_from, len(self._begins) - 1)
        with open(self._file.descriptor, "rb", closefd=False) as file:
            file.seek(self._begins[number])
            for line in file:
                if not line.endswith(b"\n"):
                    return
                number += 1
                if number == len(self._begins):
                    self._begins.append(self._begins[-1] + len(line))
                if number > log_number_from:
                    yield json.loads(line)


def _take_over(path: Path, fence: int, refuse: Callable[[], None]) -> int:
    """Put a copy in the place of a journal and return its descriptor.

    What a killed writer left is mended: a half-written last line, and its lock. Optuna would append to the half line
    and then refuse the whole file.
    """
    refuse()
    (path.parent / LEASES).mkdir(exist_ok=True)
    for earlier in range(1, fence):
        _forbid(_copy_of(path, earlier))
    for lock in path.parent.glob(f"{path.name}.lock*"):
        lock.unlink(missing_ok=True)
    content = path.read_bytes() if path.exists() else b""
    copy = _copy_of(path, fence)
    try:
        descriptor = os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        refuse()
        raise
    try:
        with open(descriptor, "ab", closefd=False) as file:
            file.write(content[: content.rfind(b"\n") + 1])
        os.fsync(descriptor)
        _put(copy, path, descriptor)
    except OSError as error:
        os.close(descriptor)
        refuse()
        with suppress(OSError):
            copy.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
    return descriptor


def _copy_of(path: Path, fence: int) -> Path:
    return path.parent / LEASES / f"{fence:06d}.ledger"


def _forbid(copy: Path) -> None:
    """Put a folder where an earlier owner would make its copy, which it does once, and would rename it from."""
    while True:
        try:
            copy.mkdir()
        except FileExistsError:
            if copy.is_dir():
                return
            with suppress(IsADirectoryError):
                copy.unlink(missing_ok=True)


def _put(copy: Path, path: Path, descriptor: int) -> None:
    try:
        copy.rename(path)
    except FileNotFoundError:  # NFS may do it, lose the answer, be asked again, and say this
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            raise
