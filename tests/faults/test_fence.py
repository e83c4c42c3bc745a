"""Whatever a task's own code raises, wherever it is called: one line that says where, exit code 2, no traceback."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Outcome
from largebatch.studies.cli import command
from largebatch.studies.record.ledger import Ledger
from largebatch.trainers.task import load_task
from largebatch.trainers.workers.failure import contained, describe, fenced

COMMON = """
import asyncio, sys
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset
from largebatch import Metric, Target, Task

X = torch.randn(128, 4, generator=torch.Generator().manual_seed(0))
Y = X[:, :2].argmax(1)
calls = 0


class Fault(ValueError):
    pass


def fault(first=1):
    global calls
    calls += 1
    if calls >= first:
        raise ERROR


class Data(Dataset):
    def __len__(self):
        return 128

    def __getitem__(self, index):
        fault()
        return X[index], Y[index]


class Model(nn.Linear):
    def forward(self, x):
        fault()
        return super().forward(x)


def make(**changes):
    fields = dict(
        model=lambda: nn.Linear(4, 2), train_data=TensorDataset(X, Y), validation_data=TensorDataset(X, Y),
        loss=cross_entropy, metrics={"val_accuracy": lambda o, t: (o.argmax(1) == t).float().mean()},
        target=Target(metric="val_accuracy", above=0.99), max_examples=640, evaluation_examples=128,
    )
    return Task(**{**fields, **changes})


def late(o, t):
    fault(first=20)
    return cross_entropy(o, t)


def task():
    return """
ERRORS = {
    "error": ("Fault('of the task')", "Fault: of the task"),
    "exit": ("SystemExit(0)", "the task's own code raised SystemExit(0)"),
    "cancelled": ("asyncio.CancelledError()", "the task's own code raised CancelledError()"),
}
PLACES = {
    "function": "make(loss=fault())",
    "model": "make(model=lambda: fault())",
    "forward": "make(model=lambda: Model(4, 2))",
    "data": "make(train_data=Data(), validation_data=Data())",
    "loss": "make(loss=lambda o, t: fault())",
    "metric": "make(metrics={'val_accuracy': lambda o, t: fault()})",
}
STUDY = """\
name: faulty
task: TASK
workers: [1]
space:
  global_batch_size: 32
  learning_rate: {low: 0.01, high: 1.0, scale: log}
budget: {trials: 4}
scheduler: {name: none}
"""


class Typed:
    """Types commands in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._monkeypatch, self._capsys = folder, monkeypatch, capsys
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(str(folder))

    def task(self, name: str, error: str, body: str) -> str:
        (self.folder / f"{name}.py").write_text(COMMON.replace("ERROR", error) + body + "\n")
        (self.folder / "study.yaml").write_text(STUDY.replace("TASK", f"{name}:task"))
        return f"{name}:task"

    def command(self, *words: str) -> tuple[int, str, str]:
        self._monkeypatch.setattr(sys, "argv", ["largebatch", *words])
        code = command()
        said = self._capsys.readouterr()
        return code, said.out, said.err


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("place", PLACES)
def test_run_and_profile_name_the_task_the_error_and_the_line(place: str, error: str, typed: Typed) -> None:
    raised, said = ERRORS[error]
    name = typed.task(f"fenced_{place}_{error}", raised, PLACES[place])
    commands = [("run", "study.yaml", "--in-process", "--out", "out")]
    if place != "metric":  # which profile does not call
        commands.append(("profile", name, "--in-process", "--local-batch-sizes", "8"))
    for words in commands:
        code, _, errors = typed.command(*words)
        assert code == 2, errors
        lines = [line for line in errors.splitlines() if line.startswith("largebatch: ")]
        assert len(lines) == 1, errors
        assert f"task: {name} raised" in lines[0]
        assert said in lines[0]
        assert f"(fenced_{place}_{error}.py:" in lines[0]
        assert "Traceback" not in errors


@pytest.mark.parametrize("error", ERRORS)
def test_a_trial_whose_loss_raises_has_failed_with_the_reason(error: str, typed: Typed) -> None:
    raised, said = ERRORS[error]
    typed.task(f"fenced_late_{error}", raised, "make(loss=late)")
    code, _, errors = typed.command("run", "study.yaml", "--in-process", "--out", "out")
    assert code == 2, errors
    assert "Traceback" not in errors
    endings = [trial.ending for trial in Ledger(Path("out") / "ledger.log", "faulty", create=False).trials()]
    assert [ending.outcome for ending in endings if ending] == [Outcome.FAILED] * len(endings)
    assert all(said in ending.reason and f"fenced_late_{error}.py:" in ending.reason for ending in endings if ending)


@pytest.mark.parametrize("error", ["error", "exit"])
def test_check_says_it_in_its_lines(error: str, typed: Typed) -> None:
    raised, said = ERRORS[error]
    code, _, errors = typed.command("check", typed.task(f"checked_{error}", raised, "make(loss=fault())"))
    assert code == 2
    assert said in errors
    code, out, errors = typed.command(
        "check", typed.task(f"checked_loss_{error}", raised, "make(loss=lambda o, t: fault())"), "--json"
    )
    assert code == 2
    assert "Traceback" not in errors
    findings = json.loads(out)["findings"]
    assert any(said in f"{one['found']} {one['way_out']}" for one in findings if not one["passed"])


@pytest.mark.parametrize("kind", ["import", "lightning", "huggingface"])
def test_what_raises_while_a_task_is_made(kind: str, typed: Typed) -> None:
    if kind == "import":
        (typed.folder / "ends_at_import.py").write_text("raise SystemExit(2)\n")
        name, said = "ends_at_import:task", "does not import: RuntimeError: the task's own code raised SystemExit(2)"
    else:
        makers = {
            "lightning": "__import__('largebatch').lightning_task(lambda: fault(), None, target=None)",
            "huggingface": "__import__('largebatch').huggingface_task(lambda: fault(), X, X, target=None)",
        }
        name, said = (
            typed.task(f"made_{kind}", "Fault('inside')", makers[kind]),
            f"raised Fault: inside (made_{kind}.py:",
        )
    with pytest.raises(UserError) as mistake:
        load_task(name, {})
    assert said in str(mistake.value)
    assert "\n" not in str(mistake.value)


def test_the_fence_lets_ctrl_c_and_a_job_that_leaves_pass() -> None:
    class Leaves(SystemExit):
        pass

    for kind in (KeyboardInterrupt, Leaves):
        with pytest.raises(kind), fenced("a:task"):
            raise kind
    with pytest.raises(UserError, match="as it is"), fenced("a:task"):
        raise UserError("as it is")
    for kind in (SystemExit, asyncio.CancelledError, GeneratorExit):
        with pytest.raises(RuntimeError, match=f"raised {kind.__name__}"), contained():
            raise kind


def test_a_description_is_one_line_of_a_length_that_one_reads() -> None:
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert describe(ValueError("a\n  b\n")) == "ValueError: a b"
    assert len(describe(ValueError("x " * 10_000))) < 450
    assert describe(Unreadable()) == "Unreadable: its message cannot be read"
    with pytest.raises(json.JSONDecodeError) as raised:
        json.loads("{")
    assert "(test_fence.py:" in describe(raised.value), "the caller's line tells more than that of the library"


def test_a_described_error_holds_nothing_that_a_terminal_obeys() -> None:
    error = ValueError("cannot open caf\udce9.png \x1b[31mred\x1b[0m\x00\u202e")
    assert describe(error) == r"ValueError: cannot open caf\xe9.png \x1b[31mred\x1b[0m\x00\u202e"
