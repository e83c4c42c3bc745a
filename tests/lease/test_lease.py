"""The lease: one process at a time, named; whoever died or was stopped is followed by another, and writes no more."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.studies.record.lease import lease as leases
from largebatch.studies.record.lease import lease_monitor as lease_watch
from largebatch.studies.record.lease.lease import Lease, LeaseLost
from largebatch.studies.record.lease.lease_monitor import LeaseWatch

HOLD = """
import sys, time
from pathlib import Path
from largebatch.studies.record.lease import lease_monitor as lease_watch
from largebatch.studies.record.lease.lease import Lease
lease_watch.EXPIRY_SECONDS = float(sys.argv[2])
with Lease(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
CONTEND = """
import os, sys
from pathlib import Path
from largebatch.studies.record.lease import lease
lease.POLL_SECONDS = 0.01
inside = Path(sys.argv[1]) / "inside"
held = 0
while held < 3:
    try:
        with lease.Lease(Path(sys.argv[1])):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            inside.unlink()
            held += 1
    except lease.StudyLocked:
        pass
"""


@contextmanager
def held_elsewhere(directory: Path, expiry_seconds: float = 30) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lease; with no time to expiry it takes it from whoever held it."""
    arguments = [sys.executable, "-c", HOLD, str(directory), str(expiry_seconds)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def written_by_another_machine(directory: Path, renewals: int = 0, *, over: bool = False) -> Path:
    (directory / "leases").mkdir(exist_ok=True)
    facts = {"host": "elsewhere", "machine": "m", "pid": 1, "locked": True, "renewals": renewals, "over": over}
    path = directory / "leases" / "000001"
    path.write_text(json.dumps(facts))
    return path


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_watch, "EXPIRY_SECONDS", 1.0)
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.05)


def test_a_second_process_is_refused_by_name_until_the_first_dies(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        with pytest.raises(UserError, match=f"is in use by process {process.pid} on "), Lease(tmp_path):
            pass
        process.kill()
        process.wait()
        with Lease(tmp_path) as lease:
            assert f":{os.getpid()}:" in lease.owner
            assert lease.fence == 2


def test_a_lease_ends_with_its_with_and_the_fence_grows(tmp_path: Path) -> None:
    for fence in (1, 2):
        with Lease(tmp_path) as lease:
            assert lease.fence == fence
            lease.refuse_if_taken_over()
        assert LeaseWatch(tmp_path).look() is None


def test_another_machine_s_lease_is_over_when_its_count_stands_still(tmp_path: Path, impatient: None) -> None:
    """However its clock or ours is set: only its count, and our steady clock, are looked at."""
    written_by_another_machine(tmp_path)
    began = time.monotonic()
    with Lease(tmp_path) as lease:
        assert lease.fence == 2
    assert time.monotonic() - began >= 1.0


def test_another_machine_s_lease_holds_when_its_count_grows(tmp_path: Path, impatient: None) -> None:
    path, watch = written_by_another_machine(tmp_path), LeaseWatch(tmp_path)
    holder = watch.look()
    assert holder is not None
    assert not holder.lives
    written_by_another_machine(tmp_path, renewals=1)
    holder = watch.look()
    assert holder is not None
    assert holder.lives
    assert str(holder) == "process 1 on elsewhere"
    written_by_another_machine(tmp_path, renewals=1, over=True)
    assert watch.look() is None
    assert not watch.died
    assert path.exists()


def test_clocks_that_jump_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_by_another_machine(tmp_path)
    mine = tmp_path / "mine"
    mine.mkdir()
    now, watch = time.time(), LeaseWatch(tmp_path)
    with Lease(mine) as lease:
        for jump_seconds in (0, 86_400, -86_400):
            monkeypatch.setattr(time, "time", lambda jump_seconds=jump_seconds: now + jump_seconds)
            assert watch.look() is not None
            lease.refuse_if_taken_over()
            with pytest.raises(UserError, match="in use by"), Lease(mine):
                pass


@pytest.mark.parametrize("text", ["", '{"host": "els', "[1]"])
def test_half_a_lease_is_somebody_s_until_it_stands_still(tmp_path: Path, impatient: None, text: str) -> None:
    """Its owner may be about to write who it is."""
    written_by_another_machine(tmp_path).write_text(text)
    holder = LeaseWatch(tmp_path).look()
    assert str(holder) == "another process"
    with Lease(tmp_path) as lease:
        assert lease.fence == 2


def test_what_was_watched_is_not_watched_again(
    tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a first look and the lease itself Ray starts: whoever stood still all that time is gone."""
    written_by_another_machine(tmp_path)
    watch = LeaseWatch(tmp_path)
    while watch.look() is not None:
        time.sleep(0.05)

    def never(seconds: float) -> None:
        raise AssertionError("waited again")

    monkeypatch.setattr(leases.time, "sleep", never)
    with Lease(tmp_path, watch=watch) as mine:
        assert mine.fence == 2


def test_a_stopped_process_is_followed_and_finds_out(tmp_path: Path, impatient: None) -> None:
    with held_elsewhere(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(UserError, match=f"process {process.pid} on "), Lease(tmp_path):
            pass  # its lock tells that it is there: nobody is followed who was not watched for long
        watch = LeaseWatch(tmp_path)
        while watch.look() is not None:
            time.sleep(0.05)
        with Lease(tmp_path, watch=watch) as mine:
            assert mine.fence == 2
            newest = (tmp_path / "leases" / "000002").read_bytes()
            process.send_signal(signal.SIGCONT)
            assert (tmp_path / "leases" / "000002").read_bytes() == newest
            mine.refuse_if_taken_over()


def test_who_was_taken_over_may_not_write(tmp_path: Path) -> None:
    with Lease(tmp_path) as old:
        old.refuse_if_taken_over()
        with (
            held_elsewhere(tmp_path, expiry_seconds=0) as process,
            pytest.raises(LeaseLost, match=f"by process {process.pid} on "),
        ):
            old.refuse_if_taken_over()


def test_of_many_contenders_one_at_a_time_gets_the_lease(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", CONTEND, str(tmp_path)]) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert sorted(path.name for path in (tmp_path / "leases").iterdir()) == [f"{n:06d}" for n in range(1, 13)]
