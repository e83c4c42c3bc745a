"""`check` passes a sound task and names what is wrong with others, with a way out."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.check import Checked, check_study, study_to_check
from largebatch.studies.study_file import parse_study

COMMON = """
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset
from largebatch import Metric, Target, Task

generator = torch.Generator().manual_seed(0)
X = torch.randn(400, 6, generator=generator)
Y = X[:, :3].argmax(1)


def accuracy(outputs, labels):
    return (outputs.argmax(1) == labels).float().mean()


def make(**changes):
    fields = dict(
        model=lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3)),
        train_data=TensorDataset(X, Y), validation_data=TensorDataset(X[:200], Y[:200]), loss=cross_entropy,
        metrics={"val_accuracy": accuracy}, target=Target(metric="val_accuracy", above=0.95), max_examples=4_000,
    )
    return Task(**{**fields, **changes})


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.from_numpy(np.random.randn(*x.shape)).float()


class Centred(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class Counting(nn.Module):
    steps = 0

    def forward(self, x):
        self.steps += self.training
        return x * (1 + 0.1 * self.steps)


def network(*layers):
    return lambda: nn.Sequential(nn.Linear(6, 8), *layers, nn.ReLU(), nn.Linear(8, 3))


def drawn():
    rows = np.random.permutation(400)
    return TensorDataset(X[rows], Y[rows])
"""
SOUND = "def task():\n    return make()\n"
BROKEN = {
    "sum": ("loss=lambda o, t: cross_entropy(o, t, reduction='sum')", "virtual workers are exact", "mean over"),
    "batch layer": ("model=network(Centred())", "virtual workers are exact", "no layer but batch normalisation"),
    "numpy noise": ("model=network(Noisy())", "what is random belongs", "nn.Dropout or torch's generator"),
    "torch augment": ("augment=lambda x, r: x + torch.randn_like(x)", "what is random belongs", "`random` in augment"),
    "hidden count": ("model=network(Counting())", "a checkpoint resumes to the bit", "register_buffer"),
    "other data": ("train_data=drawn()", "the data are the same every time", "give a seed"),
    "not a number": ("loss=lambda o, t: (o * float('nan')).mean()", "losses, gradients and metrics", "look for a log"),
    "constant": ("metrics={'val_accuracy': lambda o, t: torch.tensor(0.3)}", "val_accuracy moves", "depend on the"),
    "met": ("target=Target(metric='val_accuracy', above=0.01)", "the target lies ahead", "choose a harder target"),
    "bounds": ("metrics={'val_accuracy': Metric(mean=accuracy, low=0.9, high=1)}", "the target lies", "lie between"),
    "error": ("loss=lambda o, t: cross_entropy(o[0], t)", "losses, gradients and metrics", "mend this error"),
}


def check(task: str, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, study: str = "") -> Checked:
    (folder / f"{name}.py").write_text(COMMON + task)
    monkeypatch.syspath_prepend(str(folder))
    asked = study_to_check(f"{name}:task")
    if study:
        asked = parse_study(study.replace("TASK", f"{name}:task"), "study.yaml")
    return check_study(asked)


def test_a_sound_task_passes_and_its_cost_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = check(SOUND, tmp_path, "sound_task", monkeypatch)
    assert [finding.name for finding in checked.findings if not finding.passed] == []
    assert len(checked.findings) == 8
    cost = checked.cost
    assert cost is not None
    assert cost.batch_sizes == (32, 1024)
    assert cost.examples_per_trial == 4_000
    assert 0 < cost.study_seconds <= 20 * 60
    low, high = sorted(cost.trial_seconds)
    assert 40 * low <= cost.study_seconds <= 40 * high or cost.study_seconds == 20 * 60


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_named(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, name, way_out = BROKEN[kind]
    module = f"broken_{kind.replace(' ', '_')}_task"
    checked = check(f"def task():\n    return make({change})\n", tmp_path, module, monkeypatch)
    failed = {finding.name: finding for finding in checked.findings if not finding.passed}
    found = [finding for finding in failed.values() if finding.name.startswith(name)]
    assert found, failed
    assert way_out in found[0].way_out
    assert json.dumps(checked.to_json())


def test_a_study_gives_its_own_space_and_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = """
name: mine
task: TASK
workers: [1, 2]
space:
  global_batch_size: {choices: [16, 64]}
  learning_rate: {low: 0.1, high: 1.0, scale: log}
  task.width: {choices: [4, 8]}
budget: {trials: 3, examples_per_trial: 2000}
"""
    sized = "def task(width):\n    return make(model=lambda: nn.Sequential(nn.Linear(6, width), nn.Linear(width, 3)))\n"
    checked = check(sized, tmp_path, "sized_task", monkeypatch, study)
    assert checked.num_failed == 0, checked.findings
    cost = checked.cost
    assert cost is not None
    assert (cost.trials, cost.examples_per_trial, cost.batch_sizes) == (3, 2000, (16, 64))
    assert cost.study_seconds == pytest.approx(3 * sum(cost.trial_seconds) / 2)
    assert any("cut" not in finding.found and "in 8" in finding.found for finding in checked.findings)


def test_a_task_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserMistake, match="does not import"):
        check_study(study_to_check("nowhere_at_all:task"))
    with pytest.raises(UserMistake, match="no file 'nothing"):
        study_to_check("nothing.yaml")


def command(*arguments: str, cwd: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "largebatch", *arguments], cwd=cwd, input=typed, capture_output=True, text=True
    )


def test_the_command_says_it_in_lines_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{COMMON}\ndef task():\n    return make({BROKEN['sum'][0]})\n")
    done = command("check", "mine:task", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("largebatch: 1 of 8 checks failed")
    assert "FAIL  virtual workers are exact" in done.stdout
    assert "way out: the loss must be the mean over examples" in done.stdout
    assert "cost  " in done.stdout


def test_new_writes_what_runs_as_it_is_and_overwrites_nothing(tmp_path: Path) -> None:
    done = command("new", cwd=tmp_path, typed="my-first\nplain\n16\n5\n")
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "my_first_task.py").read_text().split("def task")[1].splitlines()) <= 25
    checked = command("check", "my-first.yaml", "--json", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    found: dict[str, Any] = json.loads(checked.stdout)
    assert found["passed"]
    assert found["task"] == "my_first_task:task"
    ran = command("run", "my-first.yaml", "--in-process", "--budget-trials", "4", "--out", "out", cwd=tmp_path)
    assert "val_accuracy above 0.88" in ran.stdout, ran.stderr
    again = command("new", "--name", "my-first", "--kind", "plain", "--workers", "8", "--minutes", "1", cwd=tmp_path)
    assert again.returncode == 2
    assert "my-first.yaml and my_first_task.py would be overwritten" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--name", "9lives"], "must begin with a letter"),
        (["--name", "a b"], "must be at most 100 letters"),
        (["--name", "a", "--kind", "jax"], "unknown kind 'jax'"),
        ([], "give --name, --kind, --workers and --minutes"),
    ],
)
def test_answers_that_new_cannot_take(arguments: list[str], said: str, tmp_path: Path) -> None:
    rest = ["--kind", "plain", "--workers", "8", "--minutes", "1"] if arguments else []
    done = command("new", *rest, *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["lightning", "huggingface", "train-step"])
def test_every_skeleton_is_sound(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from largebatch.studies.new_study import NewStudy, write_new

    for package in {"lightning": ["lightning"], "huggingface": ["transformers", "datasets"]}.get(kind, []):
        pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)
    study_file, _ = write_new(NewStudy(name=f"of-{kind}", kind=kind, most_workers=100_000, minutes=3), tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    checked = check_study(study_to_check(str(study_file)))
    assert [finding for finding in checked.findings if not finding.passed] == []
    assert checked.notes


@pytest.mark.parametrize("kind", ["lightning", "huggingface", "train-step"])
def test_what_new_wrote_is_run_as_its_first_lines_say(kind: str, tmp_path: Path) -> None:
    for package in {"lightning": ["lightning"], "huggingface": ["transformers", "datasets"]}.get(kind, []):
        pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)
    command("new", "--name", "mine", "--kind", kind, "--workers", "16", "--minutes", "3", cwd=tmp_path)
    head = (tmp_path / "mine.yaml").read_text().splitlines()[:2]
    told = [re.split(r"  +", line.removeprefix("# largebatch "))[0].split() for line in head]
    assert told == [["check", "mine.yaml"], ["run", "mine.yaml"]]
    ran = command(*told[1], "--in-process", "--budget-trials", "3", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    plan = json.loads((tmp_path / "runs" / "mine" / "plan.json").read_text())
    assert [row["num_workers"] for row in plan["rows"]] == [1, 2, 4, 8, 16]
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()
