"""Code that may crash or hang, run by another Python: a broken library is then a finding, not the end of ours."""

import json
import subprocess
import sys
from typing import Any


class ChildFailed(Exception):
    """The last line that it printed, or that it did not end in time."""


def from_child(code: str, *arguments: str, seconds: float) -> Any:
    """What ``code`` prints as its last line, which must be JSON.

    Raises:
        ChildFailed: if it fails, dies of a signal, or takes longer than ``seconds``.
    """
    command = [sys.executable, "-P", "-c", code, *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ChildFailed(f"no answer in {seconds:g} s") from None
    said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    if done.returncode < 0:
        raise ChildFailed(f"killed by signal {-done.returncode}")
    if done.returncode:
        raise ChildFailed(said[-1].strip() if said else f"exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
