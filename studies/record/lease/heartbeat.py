"""A file in which a process shows that it lives: who it is, and a count that grows every ``RENEWAL_SECONDS``.

It is locked as long as the process has it open, where the file system has locks. ``lease_monitor.py`` watches it.
"""

import fcntl
import json
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from largebatch.studies.record.lease.lease_monitor import machine, started
from largebatch.studies.record.own_file import OwnFile

RENEWAL_SECONDS = 5.0


class Presence:
    """Made at ``path``, which must not be there, and renewed until ``end``; ``facts`` are told with it.

    Raises:
        FileExistsError: if it is there.
    """

    def __init__(self, path: Path, **facts: Any) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._file = OwnFile(path, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # an observer may hold it for a moment
            locked = True
        except OSError:  # a file system without locks: its observers go by the count
            locked = False
        self._facts = {
            "host": socket.gethostname(), "machine": machine(), "pid": os.getpid(), "started": started(os.getpid()),
            "locked": locked, "renewals": 0, "over": False, **facts,
        }  # fmt: skip
        self._over, self._lock = threading.Event(), threading.Lock()
        self._length = 0
        try:
            self._write({})
        except OSError as error:
            self._file.close()
            raise OSError(error.errno, error.strerror, str(path)) from error
        self._thread = threading.Thread(target=self._renew, daemon=True, name="presence")
        self._thread.start()

    def tell(self, **facts: Any) -> None:
        """Write down what else is so from now on."""
        with suppress(OSError):  # the next renewal tells it
            self._write(facts)

    @property
    def is_there(self) -> bool:
        """Whether others can see it: its file lies where it was made, and this process made it."""
        return self._file.is_open and self._file.is_at_its_path

    @property
    def is_inherited(self) -> bool:
        """Whether this process is a child of the one that made it, and not the one that lives by it."""
        return not self._file.is_open

    def end(self, **facts: Any) -> None:
        """Write down that the process is here no longer."""
        if self.is_inherited:
            return
        self._over.set()
        self._thread.join()
        with suppress(OSError):  # then the closed lock tells, or the count that stands still
            self._write({"over": True, **facts})
        self._file.close()

    def _write(self, facts: dict[str, Any]) -> None:
        with self._lock:
            self._facts |= facts
            # Never shorter than before, so that nothing of an earlier text is left behind it.
            text = json.dumps(self._facts).encode().ljust(self._length) + b"\n"
            self._length = len(text) - 1
            os.pwrite(self._file.descriptor, text, 0)
            os.fsync(self._file.descriptor)

    def _renew(self) -> None:
        while not self._over.wait(RENEWAL_SECONDS):
            with suppress(OSError):  # a file system that is away may come back in time
                self._write({"renewals": self._facts["renewals"] + 1})
