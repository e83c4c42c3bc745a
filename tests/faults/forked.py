"""Types commands in children of a process that has imported everything, and kills them where it is told to.

Each line of the standard input is a command with a moment; each line of the output says how it ended. A study so begins
in a tenth of a second, and a hundred of them can be killed in the time in which ten would start.
"""

import json
import os
import random
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import dateutil.parser  # noqa: F401
import optuna.storages.journal  # noqa: F401
import pandas  # noqa: F401
import plotly.graph_objects  # noqa: F401
import pyarrow.dataset
import pyarrow.parquet  # noqa: F401
import rich.live  # noqa: F401
import scipy.optimize
import scipy.stats  # noqa: F401

import largebatch.search.searchers.halton
import largebatch.studies.run
import largebatch.studies.running.engines.in_process
import largebatch.studies.views.report.page
import largebatch.studies.views.terminal.progress
import largebatch.studies.views.terminal.show
import largebatch.trainers.tasks.digits  # noqa: F401
from largebatch.studies.cli import command

WRITING = os.O_WRONLY | os.O_RDWR
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.truncate", "os.symlink", "os.link")


class Changes:
    """Counts what changes files below ``folder``, and kills this process in the middle of the ``last``."""

    def __init__(self, folder: str, last: int | None) -> None:
        self.folder, self.last, self.count = folder, last, 0
        self._write = os.write
        os.write = self.write  # type: ignore[assignment]
        sys.addaudithook(self.heard)

    def heard(self, event: str, told: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and isinstance(told[2], int) and told[2] & WRITING):
            names = [os.fspath(one) for one in told[:2] if isinstance(one, str | os.PathLike)]
            if any(str(name).startswith(self.folder) for name in names):
                self.counted()

    def counted(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, descriptor: int, content: bytes) -> int:
        """The ledger's own: its last line is half there."""
        if self.count + 1 == self.last:
            self._write(descriptor, content[: len(content) // 2])
        self.counted()
        return self._write(descriptor, content)


def typed(asked: dict[str, Any]) -> None:
    errors = asked["errors"]
    for stream in (1, 2):
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    if asked["spare_bytes"] is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + asked["spare_bytes"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if asked["clock_jumps"]:
        now, jumps = time.time, random.Random(0)
        time.time = lambda: now() + jumps.choice((-400, -1, 0, 1, 400)) * 86_400
    changes = Changes(asked["out"], asked["kill_at_change"])
    sys.argv = ["largebatch", *asked["words"]]
    code = command()
    with open(errors + ".changes", "w") as file:
        file.write(str(changes.count))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


for line in sys.stdin:
    asked = json.loads(line)
    began = time.monotonic()
    if not (child := os.fork()):
        typed(asked)
    ended = os.pidfd_open(child)
    if not select.select([ended], [], [], asked["kill_after_seconds"])[0]:
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(ended)
    print(json.dumps({"code": status, "seconds": time.monotonic() - began}), flush=True)
