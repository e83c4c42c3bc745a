"""A study that is told to leave saves what runs, and goes on as if nothing had been; killed, it loses little."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from largebatch.spaces.trial import Trial
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.run import run_study
from largebatch.studies.running.coordinator import Coordinator
from largebatch.studies.running.interruption import LeftEarly

STUDY = """\
name: small
task: digits
workers: [1, 2]
target: {metric: val_accuracy, above: 0.97}
space:
  global_batch_size: {choices: [32, 64]}
  learning_rate: {low: 0.05, high: 0.3, scale: log}
  norm_batch_size: 16
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 4, examples_per_trial: 20000}
resources: {checkpoint_seconds: 1000}
"""
COUNTED = """
import dataclasses, torch
from torch.nn.functional import cross_entropy
from largebatch.trainers.tasks.digits import digits

def loss(logits, targets):
    if torch.is_grad_enabled():
        with open("PASSES", "a") as file:
            file.write(".")
    return cross_entropy(logits, targets)

def task():
    return dataclasses.replace(digits(), loss=loss)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study that was left alone."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    run_study(parse_study(STUDY, "study.yaml"), out, in_process=True)
    return out


def trials(out: Path) -> list[Trial]:
    return Ledger(out / "ledger.log", "small", create=False).trials() if (out / "ledger.log").exists() else []


def assert_same(left: Path, right: Path) -> None:
    """All but the seconds: recipes, endings, every measured value, and the best weights."""
    for one, other in zip(trials(left), trials(right), strict=True):
        assert (one.recipe, dict(one.intermediate)) == (other.recipe, dict(other.intermediate))
        assert one.ending is not None
        assert other.ending is not None
        assert (one.ending.outcome, one.ending.steps_to_target) == (other.ending.outcome, other.ending.steps_to_target)
    assert any(trial.reached for trial in trials(left))
    for trial in trials(left):
        number = trial.number
        losses = [[m.values["train_loss"] for m in read_curve(out / "curves", number)] for out in (left, right)]
        assert losses[0][1:] == losses[1][1:]
        if not trial.reached:
            continue
        weights = [
            torch.load(out / "checkpoints" / f"trial-{number:06d}.best.pt", weights_only=True)["weights"]
            for out in (left, right)
        ]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def after_measurements(count: int, act: Callable[[], object]) -> Any:
    """A watch that acts once so many measurements were recorded."""

    @contextmanager
    def watch(coordinator: Coordinator) -> Iterator[None]:
        seen, measure = 0, coordinator.measure

        def counted(*arguments: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == count:
                act()
            return measure(*arguments)

        coordinator.measure = counted  # type: ignore[method-assign]
        yield

    return watch


def test_told_to_leave_in_process_it_goes_on_as_if_nothing_had_been(whole: Path, tmp_path: Path) -> None:
    study, out = parse_study(STUDY, "study.yaml"), tmp_path / "left"
    for count, number in ((3, signal.SIGTERM), (2, signal.SIGUSR1)):
        watch = after_measurements(count, partial(os.kill, os.getpid(), number))
        with pytest.raises(LeftEarly, match=f"{number.name} came: saved 1 running trial$") as left:
            run_study(study, out, in_process=True, watch=watch)
        assert left.value.code == 75
        unfinished = [trial for trial in trials(out) if trial.ending is None]
        assert [trial.running for trial in unfinished] == [True]
        state = torch.load(out / "checkpoints" / f"trial-{unfinished[0].number:06d}.pt", weights_only=True)
        assert state["training"]["examples"] > max(unfinished[0].intermediate), "saved after its last measurement"
    run_study(study, out, in_process=True)
    assert_same(whole, out)


def test_the_end_of_the_job_leaves_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARGEBATCH_END_TIME", str(time.time() + 5))
    with pytest.raises(LeftEarly, match="the end of the job is near"):
        run_study(parse_study(STUDY, "study.yaml"), tmp_path / "out", in_process=True)
    assert not any(trial.ending for trial in trials(tmp_path / "out"))


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "largebatch", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
    )  # fmt: skip


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the study did not get there in time"
        time.sleep(0.1)


@pytest.mark.slow
def test_with_ray_all_that_run_are_saved_and_the_same_command_goes_on(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(STUDY)
    command, out = ("run", "small.yaml", "--out", "out"), tmp_path / "out"
    process = start(*command, cwd=tmp_path)
    wait_for(lambda: any(len(trial.intermediate) > 1 and trial.running for trial in trials(out)), process)
    process.send_signal(signal.SIGUSR1)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 75, errors
    unfinished = [trial for trial in trials(out) if trial.ending is None]
    assert re.fullmatch(rf"SIGUSR1 came: saved {len(unfinished)} running trials?; the same command goes on\n", errors)
    assert unfinished
    assert all(trial.running for trial in unfinished)
    checkpoints = [out / "checkpoints" / f"trial-{trial.number:06d}.pt" for trial in unfinished]
    assert any(path.exists() for path in checkpoints), "one may not have begun"
    process = start(*command, cwd=tmp_path)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert f"{len(unfinished)} that were running go on" in output
    assert_same(whole, out)


def test_killed_without_warning_it_repeats_no_more_than_what_came_after_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "counted.py").write_text(COUNTED.replace("PASSES", str(tmp_path / "passes")))
    text = STUDY.replace("task: digits", "task: counted:task").replace("trials: 4", "trials: 1")
    text = text.replace("above: 0.97", "above: 0.999").replace("checkpoint_seconds: 1000", "checkpoint_seconds: 0.1")
    (tmp_path / "study.yaml").write_text(text)

    def passes() -> int:
        return (tmp_path / "passes").stat().st_size

    process, out = start("run", "study.yaml", "--in-process", "--out", "out", cwd=tmp_path), tmp_path / "out"
    last = out / "checkpoints" / "trial-000000.pt"
    wait_for(lambda: last.exists() and passes() > 180, process)
    process.kill()
    process.communicate()
    at_checkpoint, at_kill = torch.load(last, weights_only=True)["training"]["step"], passes()
    at_end: list[int] = []

    @contextmanager
    def watch(coordinator: Coordinator) -> Iterator[None]:
        yield  # until the trials have ended, and before steps are timed
        at_end.append(passes())

    monkeypatch.syspath_prepend(tmp_path)
    run_study(parse_study(text, "study.yaml"), out, in_process=True, watch=watch)
    ending = trials(out)[0].ending
    assert ending is not None
    assert 100 < at_checkpoint < ending.step
    # A pass a step, and some more that measure the noise scale.
    assert ending.step - at_checkpoint <= at_end[0] - at_kill < 1.2 * (ending.step - at_checkpoint)
