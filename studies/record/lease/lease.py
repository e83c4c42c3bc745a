"""Who may write a study directory: one process at a time, known by name, on whichever machine.

Every owner makes the next file in ``leases/``: 000001, 000002, ... The newest is the lease, its number the fence. Of
several contenders ``O_EXCL`` lets one make a file, on NFS as well, and no file is ever removed, so that no number is
given twice. An owner writes into its own file alone, in which it shows that it lives (``heartbeat.py``). One that was
taken over therefore never disturbs the next, however long it was stopped; it finds the newer file before it writes to
the record (``fenced_journal.py`` says what else keeps it from there).
"""

import importlib.metadata
import os
import socket
import sys
import time
from pathlib import Path
from types import TracebackType

from largebatch.spaces.errors import UserError
from largebatch.studies.record.lease.heartbeat import Presence
from largebatch.studies.record.lease.lease_monitor import FOLDER, LeaseWatch, lease_path

POLL_SECONDS = 0.5


def versions() -> dict[str, str]:
    """Of the packages of which all jobs that serve a study must have the same."""
    return {name: importlib.metadata.version(name) for name in ("largebatch", "torch")}


class StudyLocked(UserError):
    """Another process is known to hold the lease."""


class LeaseLost(UserError):
    """Another process owns what this one did."""


class Lease:
    """Held for the time of a ``with``.

    ``watch`` is one that has watched this directory before, and need not begin anew.
    """

    def __init__(self, directory: Path, *, watch: LeaseWatch | None = None) -> None:
        self._directory = directory
        self._watch = LeaseWatch(directory) if watch is None else watch

    def __enter__(self) -> "Lease":
        """Take the lease.

        Raises:
            StudyLocked: if another process holds it, naming that process.
        """
        (self._directory / FOLDER).mkdir(exist_ok=True)
        while True:
            self.fence = wait_until_free(self._watch) + 1
            try:
                self._presence = Presence(lease_path(self._directory, self.fence), versions=versions())
                return self
            except FileExistsError:
                time.sleep(POLL_SECONDS)  # another was quicker

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        problem = str(error) if isinstance(error, UserError) else ""
        self._presence.end(finished=kind is None, problem=problem)

    def tell_jobs(self, jobs: int) -> None:
        """Let it be known how many jobs serve what this one owns."""
        self._presence.tell(jobs=jobs)

    @property
    def owner(self) -> str:
        """What the ledger calls the holder."""
        return f"{socket.gethostname()}:{os.getpid()}:{self.fence}"

    def refuse_if_taken_over(self) -> None:
        """To be called before anything is written.

        Raises:
            LeaseLost: if another process owns the directory now, or another directory lies there, or none.
        """
        if self._presence.is_inherited:
            raise LeaseLost(
                f"this process is a child of the one that owns {self._directory}, and may write nothing there: does "
                f"the task fork, and its child go on with the training?"
            )
        if lease_path(self._directory, self.fence + 1).exists():
            holder = LeaseWatch(self._directory).look()
            who = f"by {holder}" if holder is not None else "by another process, which has ended"
            raise LeaseLost(
                f"{self._directory} was taken over {who}, for this one had not renewed its lease in time (was it "
                f"stopped, or the file system away?); it has written nothing since and ends; every trial is the "
                f"other's now"
            )
        if not self._presence.is_there:
            holder = LeaseWatch(self._directory).look()
            who = f" and is in use by {holder} now" if holder is not None else ""
            raise LeaseLost(
                f"{self._directory} was removed, moved or replaced while this process owned it{who}: its lease "
                f"{lease_path(self._directory, self.fence)} is gone; it has written nothing there since and ends. Put "
                f"the directory back, and the same command goes on, or choose another --out"
            )


def wait_until_free(watch: LeaseWatch) -> int:
    """Return the newest fence once nobody holds it.

    A process on another machine is watched until it is known to live or its lease to be over.

    Raises:
        StudyLocked: if another process is known to hold it.
    """
    directory, told = watch.directory, -1
    while (holder := watch.look()) is not None:
        if holder.lives:
            raise StudyLocked(
                f"{directory} is in use by {holder}: let it end, stop it, lend it this job's devices (run --join), or "
                f"choose another --out"
            )
        if holder.fence != told:
            told = holder.fence
            print(f"{directory} is in use by {holder}: waiting until it is known to live", file=sys.stderr, flush=True)
        time.sleep(POLL_SECONDS)
    return watch.fence
