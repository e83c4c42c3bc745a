"""The journal file of Optuna for one writer that may lose its right to write without being told.

No check before a write can help a process that is stopped between the two. So an owner begins by putting a copy of the
ledger in its place (``take_over``) and then writes to that file alone, through a descriptor that it keeps: what an
earlier owner still writes goes to the file that it knows, which is no longer the ledger. This holds on NFS, where
neither locks nor listings of a folder can be relied on.
"""

import json
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock

from largebatch.spaces.whole_file import whole_file


class FencedJournal(BaseJournalBackend):
    """Reads and appends to the file that ``path`` named in the beginning.

    ``refuse`` raises where this process may not write any more.
    """

    def __init__(self, path: Path, refuse: Callable[[], None]) -> None:
        self._path, self._refuse = path, refuse
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        weakref.finalize(self, os.close, self._descriptor)
        self._lock = JournalFileSymlinkLock(str(path))  # for optuna-dashboard, which writes notes into a study
        self._begins = [0]  # where each line begins, and the next one will

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append whole lines, on disk when this returns; or, where they cannot be written, nothing.

        Raises:
            UserMistake: that ``refuse`` raises.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
        self._lock.acquire()
        try:
            self._refuse()
            self._append(lines)
        finally:
            with suppress(RuntimeError):  # a new owner has removed it
                self._lock.release()

    def _append(self, lines: bytes) -> None:
        end = os.fstat(self._descriptor).st_size
        try:
            while lines:
                lines = lines[os.write(self._descriptor, lines) :]
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, end)  # half a line would spoil the next one
            raise

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """All lines from that number on."""
        number = min(log_number_from, len(self._begins) - 1)
        with open(self._descriptor, "rb", closefd=False) as file:
            file.seek(self._begins[number])
            for line in file:
                if not line.endswith(b"\n"):
                    return
                number += 1
                if number == len(self._begins):
                    self._begins.append(self._begins[-1] + len(line))
                if number > log_number_from:
                    yield json.loads(line)


def take_over(path: Path) -> None:
    """Put a copy in the place of a journal, for the holder of the lease; earlier owners write to the old file.

    What a killed writer left is mended: a half-written last line, and its lock. Optuna would append to the half line
    and then refuse the whole file.
    """
    for lock in path.parent.glob(f"{path.name}.lock*"):
        lock.unlink(missing_ok=True)
    if path.exists():
        content = path.read_bytes()
        with whole_file(path) as copy:
            copy.write(content[: content.rfind(b"\n") + 1])
