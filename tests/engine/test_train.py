"""``train``: told to leave, killed and resumed, a training ends as if nothing had been; a deadly recipe is given up."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from largebatch.spaces.trial import Outcome
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.run import run_study

DEADLY = """
import dataclasses, os, signal
from torch.nn.functional import cross_entropy
from largebatch.trainers.tasks.digits import digits

def loss(logits, targets):
    if not logits.isfinite().all():
        os.kill(os.getpid(), signal.SIGKILL)
    return cross_entropy(logits, targets)

def task():
    return dataclasses.replace(digits(), loss=loss)
"""
DEADLY_STUDY = """
name: deadly
task: deadly:task
workers: [1, 2]
space:
  global_batch_size: {choices: [64]}
  learning_rate: {choices: [0.2, 1.0e+30, 0.1]}
  norm_batch_size: 32
search: {name: grid}
scheduler: {name: none}
budget: {trials: 3, examples_per_trial: 12000}
resources: {concurrent_trials: 1}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, study_text: str) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    text = study_text.replace("trials: 6", "trials: 4").replace("checkpoint_seconds: 0}", "checkpoint_seconds: 0.2}")
    run_study(parse_study(text, "study.yaml"), out, in_process=True)
    return out


def start(study: Path, *more: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "largebatch", "train", str(study), "--workers", "2", "--json", *more]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PACE_SECONDS": "0.01"},
    )  # fmt: skip


def wait_for_checkpoint(path: Path, process: subprocess.Popen[str], newer_than: float = 0.0) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() or path.stat().st_mtime <= newer_than:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint in time"
        time.sleep(0.05)


def weights(study: Path, folder: str) -> dict[str, torch.Tensor]:
    state = torch.load(study / folder / "workers-2" / "last.pt", weights_only=True)
    assert state["progress"]["previous"]["step"] == state["training"]["step"]
    model: dict[str, torch.Tensor] = state["training"]["model"]
    return model


@pytest.mark.slow
def test_told_to_leave_killed_and_resumed_it_ends_bit_identical(study: Path) -> None:
    examples = ("--examples", "20000", "--in-process")
    whole = start(study, *examples)
    _, errors = whole.communicate(timeout=120)
    assert whole.returncode == 0, errors
    (study / "train").rename(study / "whole")

    last = study / "train" / "workers-2" / "last.pt"
    process = start(study, *examples)
    wait_for_checkpoint(last, process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "SIGTERM came: saved after" in errors
    assert f"Go on with: largebatch train {study} --workers 2" in errors

    saved = last.stat().st_mtime
    process = start(study, *examples)
    wait_for_checkpoint(last, process, newer_than=saved)
    refused = start(study, *examples)
    assert "is in use by process" in refused.communicate(timeout=60)[1]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    process = start(study, *examples)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    result = json.loads(output)
    assert result == json.loads((study / "train" / "workers-2" / "result.json").read_text())
    left, right = weights(study, "whole"), weights(study, "train")
    assert all(torch.equal(left[name], right[name]) for name in left)
    expected = json.loads((study / "whole" / "workers-2" / "result.json").read_text())
    assert result["steps_to_target"] == expected["steps_to_target"]
    assert result["steps_low"] < result["steps_to_target"] <= result["steps_high"]
    assert result["seconds_low"] < result["seconds_to_target"] <= result["seconds_high"]


@pytest.mark.slow
def test_two_real_workers_train_the_plan_and_leave_together(study: Path) -> None:
    """Under Ray: Ctrl-C saves what both have, and the same command goes on from there."""
    began = time.time()
    process = start(study, "--examples", "20000", "--fresh")
    wait_for_checkpoint(study / "train" / "workers-2" / "last.pt", process, newer_than=began)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    process = start(study, "--examples", "20000")
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    result = json.loads(output)
    assert result["num_devices"] == min(2, os.cpu_count() or 1)
    assert result["outcome"] == "reached"
    assert result["examples"] > 19_000


@pytest.mark.slow
def test_a_recipe_that_kills_its_workers_three_times_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    (tmp_path / "deadly.yaml").write_text(DEADLY_STUDY)
    command = [sys.executable, "-m", "largebatch", "run", "deadly.yaml", "--out", "out"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=400)
    trials = Ledger(tmp_path / "out" / "ledger.log", "deadly", create=False).trials()
    endings = [trial.ending for trial in trials]
    assert len(trials) == 3, done.stderr
    assert [ending.outcome for ending in endings if ending] == [Outcome.REACHED, Outcome.FAILED, Outcome.REACHED]
    assert endings[1] is not None
    assert endings[1].reason == "its workers died 3 times"
