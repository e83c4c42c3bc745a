"""The processes that a process started, and whether one still runs."""

import subprocess
import time
from collections.abc import Collection
from pathlib import Path


def descendants(process: int) -> dict[int, str]:
    """Processes that it started, and theirs, with their command lines."""
    listing = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()[1:]]
    found: dict[int, str] = {}
    grown = True
    while grown:
        new = {int(row[0]): row[2] for row in rows if int(row[1]) in {process, *found}}
        grown = len(new) > len(found)
        found = new
    return found


def is_alive(process: int) -> bool:
    """Whether it runs; one that nobody has asked for yet has ended all the same."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def alive_after(processes: Collection[int], seconds: float) -> set[int]:
    """Which of them still run after so long, none if all have ended earlier."""
    deadline = time.monotonic() + seconds
    while (alive := {process for process in processes if is_alive(process)}) and time.monotonic() < deadline:
        time.sleep(0.2)
    return alive
