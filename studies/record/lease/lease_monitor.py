"""Watches who holds a lease, without a wish to hold it; and any process that shows in a file that it lives.

Such a process is there no longer when it wrote so; when its lock on its file is gone, which its own machine sees at
once; or when its count has stood still for ``EXPIRY_SECONDS`` of the observer's own steady clock. Clocks of two
machines are never compared, and what the clocks on the wall do changes nothing.

A lock alone is no sign of life: a child of a killed process may have inherited it. It counts where the process itself
is seen to run; else only a count that grows does.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable_values

FOLDER = "leases"
EXPIRY_SECONDS = 30.0
MOST_OWNERS = 100_000
"""Of one study, one after another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a lease; ``lives`` where that was seen, by its lock or by a renewal.

    ``jobs`` are how many serve what it owns, itself among them; ``versions`` of the packages that it runs.
    """

    fence: int
    host: str
    pid: int
    lives: bool
    jobs: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "another process"


class PresenceWatch:
    """Of one file. Each ``look`` may learn more: what stands still has to be watched for a while."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.facts: Mapping[str, Any] = {}
        """What its process told at the last look."""
        self.lives = False
        """Whether that was seen."""
        self.died = False
        """Whether its process is no more and did not say so."""
        self._text = b""
        self._since = time.monotonic()
        self._renewed = False

    def look(self) -> bool:
        """Whether its process may be there still."""
        text = _content(self._path)
        if text != self._text:
            self._renewed = bool(self._text)
            self._text, self._since = text, time.monotonic()
        self.facts = facts = _facts(text)
        over = bool(facts.get("over"))
        locked = _is_locked(self._path) if facts.get("locked") and facts.get("machine") == machine() else None
        self.died = not over and (locked is False or time.monotonic() - self._since >= EXPIRY_SECONDS)
        self.lives = self._renewed or (bool(locked) and _runs(facts))
        return not over and not self.died


class LeaseWatch:
    """Of the newest lease of a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fence = 0
        """The newest that was seen, 0 where there was none."""
        self._newest = PresenceWatch(directory / FOLDER)

    @property
    def died(self) -> bool:
        """Whether its owner is no more and did not say so."""
        return self._newest.died

    @property
    def finished(self) -> bool:
        """Whether its owner did all that there was to do, and is no more."""
        return bool(self._newest.facts.get("over") and self._newest.facts.get("finished"))

    @property
    def problem(self) -> str:
        """The mistake at which its owner ended, if it was one that every other would meet, too."""
        return str(self._newest.facts.get("problem") or "")

    @property
    def versions(self) -> Mapping[str, Any]:
        """Of the packages that its owner runs, or ran."""
        versions = self._newest.facts.get("versions")
        return versions if isinstance(versions, dict) else {}

    def look(self) -> Holder | None:
        """Who holds the lease now, None where nobody does."""
        fence = newest_fence(self.directory, self.fence)
        if fence == 0:
            return None
        if fence != self.fence:
            self.fence, self._newest = fence, PresenceWatch(lease_path(self.directory, fence))
        if not self._newest.look():
            return None
        facts, lives = self._newest.facts, self._newest.lives
        host, pid, jobs = str(facts.get("host", "")), facts.get("pid", 0), facts.get("jobs", 1)
        return Holder(
            fence=fence, host=host, pid=pid if isinstance(pid, int) else 0, lives=lives,
            jobs=jobs if isinstance(jobs, int) else 1, versions=self.versions,
        )  # fmt: skip


def lease_path(directory: Path, fence: int) -> Path:
    """The file of the owner with this fence."""
    return directory / FOLDER / f"{fence:06d}"


def newest_fence(directory: Path, known: int = 0) -> int:
    """The highest fence of a directory, at least ``known``; 0 where it never had an owner.

    Raises:
        UserError: if a file has a number that no owner was given: every lower one would be forbidden, one by one.
    """
    try:
        names = [name for name in os.listdir(directory / FOLDER) if name.isascii() and name.isdecimal()]
    except FileNotFoundError:
        return 0
    newest = known
    for name in names:
        if len(name) > len(str(MOST_OWNERS)) or int(name) > MOST_OWNERS:
            raise UserError(
                f"{directory / FOLDER / name} is no lease: they are numbered from 1 on, one for each owner of the "
                f"study; remove it"
            )
        newest = max(newest, int(name))
    return newest


@cache
def machine() -> str:
    """What tells this machine, since it was started, from all others, of which one may have the same name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def started(pid: int) -> int | None:
    """When a process of this machine was started, in ticks of its clock; None where it runs no more or is not seen.

    With its number it names a process for good: numbers are given again.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _runs(facts: Mapping[str, Any]) -> bool:
    pid, since = facts.get("pid"), facts.get("started")
    return isinstance(pid, int) and since is not None and started(pid) == since


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # about to be made, or removed
        return b""


def _facts(text: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return {}  # its owner is about to write it, or was killed before it did
    return printable_values(facts) if isinstance(facts, dict) else {}


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
