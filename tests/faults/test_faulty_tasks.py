"""A task that raises, hangs, leaks memory, prints without end, or measures no number: its trials fail, no more."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from largebatch.spaces.trial import Outcome

from .campaign import PLAIN, TASKS, Forked, Undisturbed, finished, story, trials


@pytest.fixture(scope="module")
def undisturbed(server: Forked, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(server, tmp_path_factory.mktemp("sound"), PLAIN)


def study(folder: Path, fault: str) -> Path:
    path = folder / "small.yaml"
    text = PLAIN.replace("faulty:sound", f"faulty:{fault}")
    if fault != "prints":
        text = text.replace("repeats: 2", "repeats: 1")  # or steps would be timed before the first trial
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("fault", "spare_bytes", "said"),
    [
        ("raises", None, "ZeroDivisionError: the task's own (faulty.py:"),
        ("leaks", 10**9, "not one example fits on"),
        ("text", None, "has no attribute 'double'"),
    ],
)
def test_three_failures_in_a_row_end_the_study_with_the_reason(
    fault: str, spare_bytes: int | None, said: str, server: Forked, tmp_path: Path
) -> None:
    out = tmp_path / "small"
    ended = server.run(study(tmp_path, fault), out, spare_bytes=spare_bytes)
    assert ended.code == 2, server.said
    assert "Traceback" not in server.said
    assert "3 trials in a row failed" in server.said
    assert said in " ".join(server.said.split())
    outcomes = [one.ending.outcome for one in finished(out).values() if one.ending]
    assert outcomes[-3:] == [Outcome.FAILED] * 3


def test_what_is_not_a_number_never_reaches_the_target(server: Forked, tmp_path: Path) -> None:
    out = tmp_path / "small"
    ended = server.run(study(tmp_path, "nan"), out)
    assert ended.code == 2, server.said
    assert "Traceback" not in server.said
    assert "none of 5 trials reached the target" in " ".join(server.said.split())
    assert {one.ending.outcome for one in finished(out).values() if one.ending} == {Outcome.EXHAUSTED}


def test_what_a_task_prints_changes_nothing(undisturbed: Undisturbed, server: Forked, tmp_path: Path) -> None:
    """Some megabytes in CI; ``PRINTED_MEGABYTES=1024`` for a gigabyte."""
    out = tmp_path / "small"
    ended = server.run(study(tmp_path, "prints"), out)
    assert ended.code == 0
    assert server.said.count("x" * 2**20) >= int(os.environ.get("PRINTED_MEGABYTES", "30"))
    assert story(out) == undisturbed.story


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_task_that_hangs_is_ended_by_a_signal(number: signal.Signals, code: int, tmp_path: Path) -> None:
    out, environment = tmp_path / "small", {**os.environ, **TASKS}
    words = [sys.executable, "-m", "largebatch", "run", str(study(tmp_path, "hangs")), "--out", str(out)]
    process = subprocess.Popen([*words, "--in-process"], env=environment, stderr=subprocess.PIPE, text=True)
    while not any(trial.intermediate for trial in trials(out)):
        assert process.poll() is None
        time.sleep(0.2)
    time.sleep(1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert [trial.running for trial in trials(out)][-1:] == [True]
