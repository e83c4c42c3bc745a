"""Signals that cannot be lost, and the end of a job: when a process is asked to leave, and when it leaves at once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Measurement
from largebatch.studies.running.interruption import ENDING_SECONDS, PATIENCE_SECONDS, Leaving, LeftEarly, job_end_time

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    sum(range(1000))  # the handler runs between two of these


class Swallows:
    """Its finaliser is interrupted: Python cannot raise from there."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number

    def __del__(self) -> None:
        send(self.number)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, LeftEarly)])
def test_a_signal_in_a_finaliser_is_raised_at_the_next_check(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    with Leaving() as leaving:
        leaving.check()
        swallows = Swallows(number)
        del swallows
        with pytest.raises(raised):
            leaving.check()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_it_asks_to_save_what_trains_and_the_second_leaves_at_once(number: signal.Signals) -> None:
    told: list[bool] = []
    with Leaving() as leaving, leaving.training(lambda: told.append(True)):
        send(number)
        assert leaving.asked.wait(5)
        wait_for(told)
        leaving.check()
        with pytest.raises(LeftEarly, match=f"{number.name} came") as left:
            send(number)
    assert (left.value.code, told) == (75, [True])


def test_with_nothing_to_save_it_leaves_at_once() -> None:
    with Leaving(), pytest.raises(LeftEarly, match="SIGTERM came"):
        send(signal.SIGTERM)


def test_ctrl_c_saves_a_training_and_ends_a_study() -> None:
    with Leaving(saves_on_interrupt=True) as leaving, leaving.training():
        send(signal.SIGINT)
        assert leaving.interrupted
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    with Leaving() as leaving, leaving.training(), pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)


def test_a_handler_that_was_taken_is_taken_back() -> None:
    """As Ray takes TERM and Tune USR1."""
    with Leaving() as leaving, leaving.training():
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        leaving.check()
        send(signal.SIGUSR1)
        assert leaving.asked.is_set()


def test_workers_that_do_not_answer_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("largebatch.studies.running.interruption.PATIENCE_SECONDS", 0.3)
    with Leaving() as leaving, leaving.training():
        leaving.running |= {4, 5}
        leaving.saved.add(5)
        send(signal.SIGTERM)
        with pytest.raises(LeftEarly):
            time.sleep(30)
    assert "SIGTERM came: saved 1 of 2 running trials, the others go on" in str(leaving.left())


STUCK = """
import os, signal, time
from largebatch.studies.running import interruption as leaving
leaving.PATIENCE_SECONDS = leaving.STUCK_SECONDS = 0.3
with leaving.Leaving() as stuck, stuck.training():
    stuck.running.add(0)
    os.kill(os.getpid(), signal.SIGTERM)
    while True:
        try:
            time.sleep(60)
        except leaving.LeftEarly:
            pass  # as code does that waits for a Ray that is dead
"""


def test_a_process_that_is_stuck_ends_all_the_same() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=60)
    assert done.returncode == 75
    assert "SIGTERM came: saved 0 of 1 running trials" in done.stderr
    assert done.stderr.endswith("; the same command goes on\n")


def test_the_end_of_the_job_comes_near() -> None:
    told: list[bool] = []
    end_time = time.time() + PATIENCE_SECONDS + ENDING_SECONDS + 1
    with Leaving(end_time) as leaving, leaving.training(lambda: told.append(True)):
        wait_for(told)
        assert time.time() > end_time - PATIENCE_SECONDS - ENDING_SECONDS
        assert leaving.why == "the end of the job is near"


def test_the_margin_grows_with_what_a_save_an_evaluation_and_a_step_take() -> None:
    def measurement(step: int, evaluation_seconds: float) -> Measurement:
        values = {"evaluation_seconds": evaluation_seconds, "save_seconds": 4.0}
        return Measurement(step=step, examples=step, seconds=2.0 * step, values=values)

    leaving = Leaving()
    leaving.heed(0, measurement(10, 100.0))
    leaving.heed(1, measurement(20, 1.0))
    assert leaving.patience_seconds == PATIENCE_SECONDS + 2 * 4
    leaving.heed(0, measurement(20, 103.0))
    assert leaving.patience_seconds == PATIENCE_SECONDS + 2 * (4 + 2 + 3)


def test_the_end_time_of_a_job() -> None:
    soon = time.time() + 100
    assert job_end_time({}) is None
    assert job_end_time({"SLURM_JOB_END_TIME": str(soon)}) == soon
    assert job_end_time({"SLURM_JOB_END_TIME": str(soon), "LARGEBATCH_END_TIME": str(soon - 50)}) == soon - 50
    assert job_end_time({"SLURM_JOB_END_TIME": "1000"}) is None
    with pytest.raises(UserError, match="LARGEBATCH_END_TIME must be seconds since the epoch; got 'noon'"):
        job_end_time({"LARGEBATCH_END_TIME": "noon"})


def wait_for(told: list[bool]) -> None:
    deadline = time.monotonic() + 10
    while not told:
        assert time.monotonic() < deadline
        time.sleep(0.05)
