"""Who may write a study directory: one process at a time, known by name, on whichever machine.

Every owner makes the next file in ``leases/``: 000001, 000002, ... The newest is the lease, its number the fence. Of
several contenders ``O_EXCL`` lets one make a file, on NFS as well, and no file is ever removed, so that no number is
given twice. An owner writes into its own file alone: who it is, and a count that grows every ``RENEWAL_SECONDS``. One
that was taken over therefore never disturbs the next, however long it was stopped; it finds the newer file before it
writes to the record (``fenced_journal.py`` says what else keeps it from there).
"""

import fcntl
import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.record.lease_watch import FOLDER, LeaseWatch, lease_path, machine

RENEWAL_SECONDS = 5.0
POLL_SECONDS = 0.5


class TakenOver(UserMistake):
    """Another process owns what this one did."""


class Lease:
    """Held for the time of a ``with``; with ``wait``, as soon as nobody else holds it.

    ``watch`` is one that has watched this directory before, and need not begin anew.
    """

    def __init__(self, directory: Path, *, wait: bool = False, watch: LeaseWatch | None = None) -> None:
        self._directory, self._wait = directory, wait
        self._watch = LeaseWatch(directory) if watch is None else watch
        self._over = threading.Event()
        self._renewals = 0

    def __enter__(self) -> "Lease":
        """Take the lease.

        Raises:
            UserMistake: if another process holds it, naming that process.
        """
        (self._directory / FOLDER).mkdir(exist_ok=True)
        while True:
            self.fence = wait_until_free(self._watch, wait=self._wait) + 1
            try:
                path = lease_path(self._directory, self.fence)
                self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
                break
            except FileExistsError:
                time.sleep(POLL_SECONDS)  # another was quicker
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # an observer may hold it for a moment
            self._locked = True
        except OSError:  # a file system without locks: its observers go by the count
            self._locked = False
        self._write()
        self._thread = threading.Thread(target=self._renew, daemon=True, name="lease")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        with suppress(OSError):  # then the closed lock tells, or the count that stands still
            self._write(over=True)
        os.close(self._descriptor)

    @property
    def owner(self) -> str:
        """What the ledger calls the holder."""
        return f"{socket.gethostname()}:{os.getpid()}:{self.fence}"

    def refuse_if_taken_over(self) -> None:
        """To be called before anything is written.

        Raises:
            TakenOver: if another process owns the directory now.
        """
        if lease_path(self._directory, self.fence + 1).exists():
            holder = LeaseWatch(self._directory).look()
            who = f"by {holder}" if holder is not None else "by another process, which has ended"
            raise TakenOver(
                f"{self._directory} was taken over {who}, for this one had not renewed its lease in time (was it "
                f"stopped, or the file system away?); it has written nothing since and ends; every trial is the "
                f"other's now"
            )

    def _write(self, *, over: bool = False) -> None:
        facts = {
            "host": socket.gethostname(), "machine": machine(), "pid": os.getpid(), "locked": self._locked,
            "renewals": self._renewals, "over": over,
        }  # fmt: skip
        os.pwrite(self._descriptor, json.dumps(facts).encode() + b"\n", 0)
        os.fsync(self._descriptor)

    def _renew(self) -> None:
        while not self._over.wait(RENEWAL_SECONDS):
            self._renewals += 1
            with suppress(OSError):  # a file system that is away may come back in time
                self._write()


def wait_until_free(watch: LeaseWatch, *, wait: bool) -> int:
    """Return the newest fence once nobody holds it.

    A process on another machine is watched until it is known to live or its lease to be over.

    Raises:
        UserMistake: if another process is known to hold it, unless ``wait``.
    """
    directory, told = watch.directory, -1
    while (holder := watch.look()) is not None:
        if not wait and holder.lives:
            raise UserMistake(
                f"{directory} is in use by {holder}: let it end, stop it, wait for it (run --wait), or choose another "
                f"--out"
            )
        if holder.fence != told:
            told = holder.fence
            until = "its lease ends" if wait else "it is known to live"
            print(f"{directory} is in use by {holder}: waiting until {until}", file=sys.stderr, flush=True)
        time.sleep(POLL_SECONDS)
    return watch.fence
