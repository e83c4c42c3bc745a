"""A study whose Ray dies, by kill -9 of its head or of the node's daemon: it ends soon, says so, and goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from largebatch.spaces.trial import Trial
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.run import run_study

from ..processes import descendants, is_alive

STUDY = """\
name: small
task: quick:task
workers: [1, 2]
target: {metric: val_accuracy, above: 0.999}
space:
  global_batch_size: {choices: [32, 64]}
  learning_rate: {low: 0.05, high: 0.3, scale: log}
  norm_batch_size: 16
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 2, examples_per_trial: 40000}
resources: {checkpoint_seconds: 0.2}
"""
EXAMPLES = 40_000
PATIENCE_SECONDS = 120


def trials(out: Path) -> list[Trial]:
    return Ledger(out / "ledger.log", "small", create=False).trials() if (out / "ledger.log").exists() else []


def measured(out: Path) -> int:
    return sum(len(trial.intermediate) for trial in trials(out))


@pytest.mark.slow
def test_a_study_that_lost_its_head_ends_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(STUDY)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "largebatch", "run", "small.yaml", "--out", "out"]
    for victim, said in (("gcs_server", "the head of the Ray cluster"), ("raylet", "Ray on this node")):
        before = measured(out)
        study = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PACE_SECONDS": "0.02"},
        )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_SECONDS
        while measured(out) < before + 2:
            assert study.poll() is None, study.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        everything = descendants(study.pid)
        (number,) = [number for number, program in everything.items() if program.split()[0].endswith(f"/{victim}")]
        os.kill(number, signal.SIGKILL)
        _, errors = study.communicate(timeout=PATIENCE_SECONDS)
        if victim == "raylet" and study.returncode == 1:  # Ray's own code was quicker to end the process
            assert errors == ""
        else:
            assert study.returncode == 75, errors
            assert errors.startswith(said), errors
            assert errors.endswith(
                ") is gone: saved 0 of 2 running trials, the others go on from their last checkpoints; the same "
                "command goes on\n"
            )
        assert [trial.ending for trial in trials(out)] == [None, None], "lost is not failed"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := [program for number, program in everything.items() if is_alive(number)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
    run_study(parse_study(STUDY, "small.yaml"), out, in_process=True)
    for trial in trials(out):
        assert trial.ending is not None
        assert trial.ending.examples >= EXAMPLES
        steps = [measurement.step for measurement in read_curve(out / "curves", trial.number)]
        assert steps == sorted(set(steps)), "nothing was trained twice"
