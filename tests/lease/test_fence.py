"""The fence holds the file, not the path: what was removed, moved, replaced or put back is noticed before a write."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.lease import lease as leases
from largebatch.studies.record.lease import lease_monitor as lease_watch
from largebatch.studies.record.lease.lease import Lease, LeaseLost, StudyLocked
from largebatch.studies.record.lease.lease_monitor import LeaseWatch
from largebatch.studies.record.ledger import Ledger

SPACE = Space.model_validate({"global_batch_size": {"choices": [32]}, "learning_rate": 0.1})
RECIPE = Recipe(global_batch_size=32, learning_rate=0.1)


@contextmanager
def owned(directory: Path, *, database: bool = False) -> Iterator[tuple[Lease, Ledger]]:
    """A ledger of one trial, and who may write to it."""
    directory.mkdir(exist_ok=True)
    place = Database.named("sqlite:///ledger.db", directory) if database else directory / "ledger.log"
    with Lease(directory) as lease:
        refuse = lease.refuse_if_taken_over
        ledger = Ledger(place, "study", create=True, fence=lease.fence, refuse_if_taken_over=refuse)
        ledger.create(SPACE, RECIPE, num_devices=1, owner=lease.owner)
        yield lease, ledger


def moved(out: Path) -> None:
    out.rename(out.with_name("away"))


def replaced(out: Path) -> None:
    moved(out)
    with owned(out):
        pass


def without_leases(out: Path) -> None:
    shutil.rmtree(out / "leases")


def second_owner(out: Path) -> None:
    without_leases(out)
    with Lease(out):
        pass


DIRECTORIES: list[Callable[[Path], object]] = [shutil.rmtree, moved, replaced, without_leases, second_owner]


@pytest.mark.parametrize("database", [False, True])
@pytest.mark.parametrize("change", DIRECTORIES)
def test_a_directory_that_is_not_the_one_any_more(
    change: Callable[[Path], object], database: bool, tmp_path: Path
) -> None:
    """Nothing is written there, and nothing is made again: neither folders nor files."""
    out = tmp_path / "out"
    with owned(out, database=database) as (lease, ledger):
        change(out)
        left = {
            path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "leases" not in path.parts
        }
        with pytest.raises(LeaseLost, match="was removed, moved or replaced while this process owned it"):
            lease.refuse_if_taken_over()
        with pytest.raises(LeaseLost, match="choose another --out"):
            ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
        assert {path: path.read_bytes() for path in left} == left
        if change in (shutil.rmtree, moved):
            assert not out.exists()


def test_a_directory_that_was_put_back_is_the_same(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with owned(out) as (_, ledger):
        moved(out)
        (tmp_path / "away").rename(out)
        ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
    assert len(Ledger(out / "ledger.log", "study", create=False).trials()) == 2


@pytest.mark.parametrize("how", ["removed", "replaced", "in place, shorter", "in place, another of the same length"])
def test_a_ledger_that_was_put_back_from_a_copy_is_not_written(how: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with owned(out) as (_, ledger):
        path, whole = out / "ledger.log", (out / "ledger.log").read_bytes()
        content = whole[:-10] + b"0" * 10 if "same length" in how else whole[: whole.index(b"\n") + 1]
        if how in ("removed", "replaced"):
            path.unlink()
        if how != "removed":
            path.write_bytes(content)
        with pytest.raises(LeaseLost, match=r"ledger\.log is not the ledger that this process writes"):
            ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
        assert not path.exists() if how == "removed" else path.read_bytes() == content


def test_a_database_that_was_replaced_is_not_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with owned(out, database=True) as (_, ledger):
        shutil.copy(out / "ledger.db", tmp_path / "copy")
        (tmp_path / "copy").rename(out / "ledger.db")
        with pytest.raises(LeaseLost, match=r"ledger\.db is not the file that this process writes"):
            ledger.create(SPACE, RECIPE, num_devices=1, owner="me")


def test_what_others_append_to_a_ledger_stays(tmp_path: Path) -> None:
    """As optuna-dashboard does, which writes notes into a study."""
    with owned(tmp_path) as (_, ledger):
        with (tmp_path / "ledger.log").open("a") as file:
            file.write('{"op_code": 2, "worker_id": "x", "study_id": 0, "user_attr": {"note": "mine"}}\n')
        ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
    assert (tmp_path / "ledger.log").read_text().count('"note": "mine"') == 1
    assert len(Ledger(tmp_path / "ledger.log", "study", create=False).trials()) == 2


def test_a_forked_child_is_no_owner(tmp_path: Path) -> None:
    """It writes nothing to the ledger, and its end does not end the lease of its parent."""
    with owned(tmp_path) as (lease, ledger):
        before = (tmp_path / "ledger.log").read_bytes()
        if not (child := os.fork()):
            code = 1
            try:
                with lease:  # which an error on its way out of a task would leave
                    pass
            except BaseException:
                pass
            try:
                ledger.create(SPACE, RECIPE, num_devices=1, owner="child")
            except LeaseLost as refused:
                code = 0 if "is a child of the one that owns" in str(refused) else 2
            lease.__exit__(None, None, None)
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (tmp_path / "ledger.log").read_bytes() == before
        lease.refuse_if_taken_over()
        assert LeaseWatch(tmp_path).look() is not None


HOLD_AND_FORK = """
import ctypes, os, sys, time
from pathlib import Path
from largebatch.studies.record.lease.lease import Lease
with Lease(Path(sys.argv[1])):
    child = os.fork() if sys.argv[2] == "python" else ctypes.CDLL(None).fork()
    if child:
        print(child, flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("forks", ["python", "library"])
def test_who_was_killed_is_followed_though_a_helper_lives_on(
    forks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a library forks has the lock still: then the count tells, which stands still."""
    monkeypatch.setattr(lease_watch, "EXPIRY_SECONDS", 1.0)
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.05)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_AND_FORK, str(tmp_path), forks], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        helper = int(process.stdout.readline())
        try:
            with pytest.raises(StudyLocked, match=f"process {process.pid} on "), Lease(tmp_path):
                pass
            process.kill()
            deadline = time.monotonic() + 5
            while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                assert time.monotonic() < deadline
                time.sleep(0.01)  # its parent, this test, has not heard of its end
            watch = LeaseWatch(tmp_path)
            holder = watch.look()
            assert holder is None if forks == "python" else holder is not None and not holder.lives
            with Lease(tmp_path, watch=watch) as mine:
                assert mine.fence == 2
        finally:
            os.kill(helper, signal.SIGKILL)
            process.kill()


def test_a_lease_of_a_directory_without_leases_tells_who_has_it_now(tmp_path: Path) -> None:
    with owned(tmp_path) as (lease, _):
        shutil.rmtree(tmp_path / "leases")
        with Lease(tmp_path), pytest.raises(UserError, match=rf"in use by process {os.getpid()} on .* now"):
            lease.refuse_if_taken_over()
