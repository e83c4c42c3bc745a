"""Who may write a study directory: one process at a time, known by name.

The file ``lease`` holds host and process id of the owner and the time of the last renewal. On one machine a lock on it
tells at once whether the owner lives; across machines, where locks may not reach, a lease that was not renewed for
``EXPIRY_SECONDS`` is over.
"""

import fcntl
import json
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType

from largebatch.spaces.user_mistake import UserMistake

FILE_NAME = "lease"
RENEWAL_SECONDS = 5.0
EXPIRY_SECONDS = 30.0


class Lease:
    """Held for the time of a ``with``; ``owner`` is what the ledger calls its holder."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._host = socket.gethostname()
        self.owner = f"{self._host}:{os.getpid()}:{time.time():.3f}"
        self._over = threading.Event()

    def __enter__(self) -> "Lease":
        """Take the lease.

        Raises:
            UserMistake: if another process holds it, naming that process.
        """
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        holder = self._read()
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise UserMistake(self._refusal(holder)) from error
        age_seconds = time.time() - float(holder.get("renewed_at", 0))
        if holder and holder["host"] != self._host and age_seconds < EXPIRY_SECONDS:
            os.close(self._descriptor)
            raise UserMistake(f"{self._refusal(holder)} (its lease ends in {EXPIRY_SECONDS - age_seconds:.0f} s)")
        self._write()
        self._thread = threading.Thread(target=self._renew, daemon=True, name="lease")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _refusal(self, holder: dict[str, str]) -> str:
        who = f"process {holder['pid']} on {holder['host']}" if holder else "another process"
        return f"{self._path.parent} is in use by {who}: let it end, stop it, or choose another --out"

    def _read(self) -> dict[str, str]:
        text = os.pread(self._descriptor, 4096, 0).decode()
        try:
            holder = json.loads(text)
        except json.JSONDecodeError:
            return {}  # empty, or cut short when its writer was killed
        return holder if isinstance(holder, dict) else {}

    def _write(self) -> None:
        holder = {"host": self._host, "pid": os.getpid(), "renewed_at": time.time()}
        text = json.dumps(holder).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def _renew(self) -> None:
        while not self._over.wait(RENEWAL_SECONDS):
            self._write()
