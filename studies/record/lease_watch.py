"""Watches who holds a lease, without a wish to hold it.

A lease is over when its owner wrote so; when the owner's lock on its file is gone, which its own machine sees at once;
or when its count has stood still for ``EXPIRY_SECONDS`` of the observer's own steady clock. Clocks of two machines are
never compared, and what the clocks on the wall do changes nothing.
"""

import fcntl
import json
import os
import socket
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = "leases"
EXPIRY_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a lease; ``lives`` where that was seen, by its lock or by a renewal."""

    fence: int
    host: str
    pid: int
    lives: bool

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" if self.pid else "another process"


class LeaseWatch:
    """Each ``look`` may learn more: what stands still has to be watched for a while."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fence = 0
        """The newest that was seen, 0 where there was none."""
        self.died = False
        """Whether its owner is no more and did not say so."""
        self._text = b""
        self._since = 0.0
        self._renewed = False

    def look(self) -> Holder | None:
        """Who holds the lease now, None where nobody does."""
        fence = newest_fence(self.directory, self.fence)
        if fence == 0:
            return None
        path = lease_path(self.directory, fence)
        text = path.read_bytes()
        if (fence, text) != (self.fence, self._text):
            self._renewed = fence == self.fence and bool(self._text)
            self.fence, self._text, self._since = fence, text, time.monotonic()
        facts = _facts(text)
        locked = _is_locked(path) if facts.get("locked") and facts.get("machine") == machine() else None
        self.died = not facts.get("over") and (locked is False or time.monotonic() - self._since >= EXPIRY_SECONDS)
        if self.died or facts.get("over"):
            return None
        return Holder(
            fence=fence, host=facts.get("host", ""), pid=facts.get("pid", 0), lives=bool(locked) or self._renewed
        )


def lease_path(directory: Path, fence: int) -> Path:
    """The file of the owner with this fence."""
    return directory / FOLDER / f"{fence:06d}"


def newest_fence(directory: Path, known: int = 0) -> int:
    """The highest fence of a directory, at least ``known``; 0 where it never had an owner."""
    try:
        names = os.listdir(directory / FOLDER)
    except FileNotFoundError:
        return 0
    return max([known, *(int(name) for name in names if name.isdecimal())])


@cache
def machine() -> str:
    """What tells this machine, since it was started, from all others, of which one may have the same name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


def _facts(text: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except ValueError:
        return {}  # its owner is about to write it, or was killed before it did
    return facts if isinstance(facts, dict) else {}


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
