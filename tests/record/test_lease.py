"""The lease: one process at a time, named; a dead owner's lease is over."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.record.lease import Lease

HOLD = """
import sys, time
from pathlib import Path
from largebatch.studies.record.lease import Lease
with Lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(directory: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_by_name_until_the_first_dies(tmp_path: Path) -> None:
    process = hold(tmp_path)
    with pytest.raises(UserMistake, match=f"is in use by process {process.pid} on "), Lease(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with Lease(tmp_path) as lease:
        assert f":{os.getpid()}:" in lease.owner


def test_a_lease_ends_with_its_with(tmp_path: Path) -> None:
    for _ in range(2):
        with Lease(tmp_path):
            pass


@pytest.mark.parametrize(("age_seconds", "refused"), [(1.0, True), (100.0, False)])
def test_another_host_holds_it_until_it_expires(tmp_path: Path, age_seconds: float, refused: bool) -> None:
    holder = {"host": "elsewhere", "pid": 1, "renewed_at": time.time() - age_seconds}
    (tmp_path / "lease").write_text(json.dumps(holder))
    if refused:
        with pytest.raises(UserMistake, match="process 1 on elsewhere"), Lease(tmp_path):
            pass
    else:
        with Lease(tmp_path):
            pass


def test_half_a_lease_is_nobody_s(tmp_path: Path) -> None:
    (tmp_path / "lease").write_text('{"host": "els')
    with Lease(tmp_path):
        pass
