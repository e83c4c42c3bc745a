"""The processes of a study, found by their parents and by the session of Ray that they belong to."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path


def tree(pid: int) -> dict[int, str]:
    """``pid`` and all below it, with their command lines."""
    parents, words = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
                words[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:  # it has ended
                continue
            parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    found = {}
    for one in words:
        ancestor = one
        while ancestor in parents and ancestor != pid:
            ancestor = parents[ancestor]
        if ancestor == pid:
            found[one] = words[one]
    return found


def lives(pid: int) -> bool:
    """Whether it runs; one that has ended and waits for its parent does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def left_after(pids: dict[int, str], seconds: float) -> dict[int, str]:
    """Which of them still run after so long; they are ended then."""
    deadline = time.monotonic() + seconds
    while (left := {pid: words for pid, words in pids.items() if lives(pid)}) and time.monotonic() < deadline:
        time.sleep(0.2)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left
