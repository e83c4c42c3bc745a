"""`check` passes a sound task and names what is wrong with others, with a way out."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from largebatch.spaces.errors import UserError
from largebatch.studies.checks.check_cost import StudyCost
from largebatch.studies.checks.check_study import Checked, Question, check_study, question_of
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.views.terminal.show_check import print_line
from largebatch.trainers.task import load_task, make_task
from largebatch.trainers.task_checks.finding import Finding

COMMON = """
import os
import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, dropout, mse_loss
from torch.utils.data import Dataset, IterableDataset, TensorDataset
from largebatch import Metric, Target, Task


def data():
    x = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))
    return x, x[:, :3].argmax(1)


X, Y = data()


def accuracy(outputs, labels):
    return (outputs.argmax(1) == labels).float().mean()


def make(**changes):
    x, y = data()
    fields = dict(
        model=lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3)),
        train_data=TensorDataset(x, y), validation_data=TensorDataset(x[:200], y[:200]), loss=cross_entropy,
        metrics={"val_accuracy": accuracy}, target=Target(metric="val_accuracy", above=0.95), max_examples=4_000,
        evaluation_examples=64,
    )
    return Task(**{**fields, **changes})


class Does(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Counting(nn.Module):
    steps = 0

    def forward(self, x):
        self.steps += self.training
        return x * (1 + 0.1 * self.steps)


class Drifting(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8), requires_grad=False)

    def forward(self, x):
        if self.training:
            with torch.no_grad():
                self.scale.add_(0.01)
        return x * self.scale.detach().clone()


class Drawing(nn.Module):
    def __init__(self, share, always=False):
        super().__init__()
        self.share, self.always = share, always

    def forward(self, x):
        return dropout(x, self.share, training=self.training or self.always)


class Rotating(nn.Module):
    def __init__(self):
        super().__init__()
        self.phase = nn.Parameter(torch.ones(8, dtype=torch.complex64))

    def forward(self, x):
        return (x * self.phase).real


class Stream(IterableDataset):
    def __init__(self, says, yields=400):
        self.says, self.yields = says, yields

    def __len__(self):
        return self.says

    def __iter__(self):
        return ((X[i % 400], Y[i % 400]) for i in range(self.yields))


class Cut(Dataset):
    def __len__(self):
        return 1_000

    def __getitem__(self, index):
        if index >= 700:
            raise IndexError(index)
        return X[index % 400], Y[index % 400]


def network(*layers):
    return lambda: nn.Sequential(nn.Linear(6, 8), *layers, nn.ReLU(), nn.Linear(8, 3))


def drawn():
    rows = np.random.permutation(400)
    return TensorDataset(X[rows], Y[rows])


def numpy_noise(x):
    return x + torch.from_numpy(np.random.randn(*x.shape)).float()


class Words(nn.Module):
    # each token's scores are dropped out in a flat view, which nn.Dropout draws by itself, whatever the example

    def __init__(self, share):
        super().__init__()
        self.embed, self.drop, self.head = nn.Embedding(50, 8), nn.Dropout(share), nn.Linear(8, 50)

    def forward(self, words):
        return self.head(self.drop(self.embed(words).flatten(0, 1))).unflatten(0, words.shape)


def of_tokens(share):
    words = torch.randint(50, (64, 60), generator=torch.Generator().manual_seed(0))
    counts = torch.randint(20, 60, (64, 1), generator=torch.Generator().manual_seed(1))
    labels = torch.where(torch.arange(60) < counts, words.roll(1, 1), -100)
    rows = TensorDataset(words, labels)
    loss = lambda outputs, labels: cross_entropy(outputs.flatten(0, 1), labels.flatten())
    return Task(model=lambda: Words(share), train_data=rows, validation_data=rows, loss=loss,
                target=Target(metric="val_loss", below=0.1), max_examples=100_000, evaluation_examples=64)
"""
SOUND = "def task():\n    return make()\n"
BROKEN = {
    "sum": ("loss=lambda o, t: cross_entropy(o, t, reduction='sum')", "virtual workers are exact", "mean over"),
    "batch layer": ("model=network(Does(lambda x: x - x.mean(0)))", "virtual workers are exact", "no layer but batch"),
    "numpy noise": ("model=network(Does(numpy_noise))", "evaluating twice", "drop, draw and count nothing"),
    "torch augment": ("augment=lambda x, r: x + torch.randn_like(x)", "what is random belongs", "`random` in augment"),
    "hidden count": ("model=lambda: network(Counting())()", "a checkpoint resumes to the bit", "register_buffer"),
    "other data": ("train_data=drawn()", "the data are the same every time", "give a seed"),
    "not a number": ("loss=lambda o, t: (o * float('nan')).mean()", "losses, gradients and metrics", "look for a log"),
    "no gradient": ("loss=lambda o, t: (0 * o).mean()", "losses, gradients and metrics", "a loss that no weight"),
    "constant": ("metrics={'val_accuracy': lambda o, t: torch.tensor(0.3)}", "val_accuracy moves", "depend on the"),
    "met": ("target=Target(metric='val_accuracy', above=0.01)", "the target lies ahead", "choose a harder target"),
    "bounds": ("metrics={'val_accuracy': Metric(mean=accuracy, low=0.9, high=1)}", "the target lies", "lie between"),
    "error": ("loss=lambda o, t: cross_entropy(o[0], t)", "the model leaves its inputs", "fix this error"),
    "in place": ("model=lambda: nn.Sequential(Does(lambda x: x.mul_(0.5)), nn.Linear(6, 3))", "the model le", "a copy"),
    "targets": ("loss=lambda o, t: cross_entropy(o, t.clamp_(max=1))", "the model leaves its inputs", "change a copy"),
    "outputs": ("metrics={'val_accuracy': lambda o, t: o.argmax(1).eq(t).float().mean() + 0 * o.zero_().sum()}",
                "the model leaves its inputs", "change a copy"),
    "drift": ("model=lambda: network(Drifting())()", "frozen parameters stay frozen", "change no frozen parameter"),
    "all frozen": ("model=lambda: nn.Linear(6, 3).requires_grad_(False)", "the parameters can be trained", "is frozen"),
    "none": ("model=lambda: Does(lambda x: x[:, :3])", "the parameters can be trained", "has no parameters"),
    "complex": ("model=lambda: network(Rotating())()", "the parameters can be trained", "'1.phase' is complex"),
    "lazy": ("model=lambda: nn.LazyLinear(3)", "the parameters can be trained", "is lazy"),
    "noisy metric": ("metrics={'val_accuracy': lambda o, t: torch.rand(())}", "evaluating twice", "let metrics draw"),
    "short stream": ("train_data=Stream(1_000, 700)", "the data hold as many", "let `__len__` of train_data say"),
    "long stream": ("train_data=Stream(300, 700)", "the data hold as many", "let `__len__` of train_data say"),
    "validation": ("validation_data=Stream(300, 200)", "the data hold as many", "`__len__` of validation_data say"),
    "cut": ("train_data=Cut()", "the data hold as many", "let `__len__` of train_data say"),
    "few examples": ("max_examples=640", "every batch size can take a step", "raise budget.examples_per_trial to"),
    "early": ("target=Target(metric='val_accuracy', above=0.6), evaluation_examples=400", "the target is not met",
              "evaluate more often"),
}  # fmt: skip
"""What is wrong -> the change, the line that fails, a part of its way out. Nothing else fails, but ``ALSO``."""
ALSO = {
    "numpy noise": ("what is random",),  # which it draws in both modes
    "hidden count": ("virtual workers are exact",),  # that keep a count each
    "drift": ("virtual workers are exact",),
}


@pytest.fixture
def timed() -> None:
    """For a test that looks at the cost."""


@pytest.fixture(autouse=True)
def quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a slow machine; and nothing is timed but where the cost is looked at."""
    monkeypatch.setattr("largebatch.trainers.task_checks.first_evaluation.SECONDS", 600.0)
    monkeypatch.setattr("largebatch.trainers.task_checks.promised.SECONDS", 600.0)
    if "timed" in request.fixturenames:
        return
    cost = StudyCost(
        device="none", micro_batch_size=256, batch_sizes=(1, 1), example_seconds=(1e-9, 1e-9), evaluation_seconds=0.0,
        examples_per_trial=1, trials=1, trial_seconds=(0.0, 0.0), study_seconds=0.0, checkpoint_bytes=0,
    )  # fmt: skip

    def untimed(*arguments: Any) -> Finding:
        arguments[-1].append(cost)
        return Finding(name="passes of 256 examples fit", passed=True, found="not timed")

    monkeypatch.setattr("largebatch.studies.checks.check_study.check_room", untimed)


def check(task: str, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch, study: str = "") -> Checked:
    (folder / f"{name}.py").write_text(COMMON + task)
    monkeypatch.syspath_prepend(str(folder))
    if study:
        text = study.replace("TASK", f"{name}:task")
        return check_study(Question(study=parse_study(text, "study.yaml"), text=text, source="study.yaml"))
    return check_study(question_of(f"{name}:task"))


def named(checked: Checked, name: str) -> Finding:
    (found,) = (finding for finding in checked.findings if finding.name.startswith(name))
    return found


def failed(checked: Checked) -> list[str]:
    return [finding.name for finding in checked.findings if finding.passed is False]


@pytest.mark.usefixtures("timed")
def test_a_sound_task_passes_and_its_cost_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = check(SOUND, tmp_path, "sound_task", monkeypatch)
    assert [finding for finding in checked.findings if finding.passed is not True] == []
    assert len(checked.findings) == 15
    assert [finding.name for finding in checked.findings if not finding.compared] == []
    assert named(checked, "frozen").found == "none of 6 is frozen; 6 move"
    cost = checked.cost
    assert cost is not None
    assert cost.batch_sizes == (32, 1024)
    assert cost.examples_per_trial == 4_000
    assert 0 < cost.study_seconds <= 20 * 60
    low, high = sorted(cost.trial_seconds)
    assert 40 * low <= cost.study_seconds <= 40 * high or cost.study_seconds == 20 * 60


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_wrong_is_named_once(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, name, way_out = BROKEN[kind]
    module = f"broken_{kind.replace(' ', '_')}_task"
    checked = check(f"def task():\n    return make({change})\n", tmp_path, module, monkeypatch)
    others = [one for one in failed(checked) if one != named(checked, name).name]
    assert [one for one in others if not one.startswith(ALSO.get(kind, ("nothing",)))] == []
    assert len(others) == len(ALSO.get(kind, ()))
    assert way_out in named(checked, name).way_out
    assert len(checked.findings) == 15
    found = json.loads(json.dumps(checked.to_json()))
    assert not found["passed"]
    outcomes = {True: "passed", False: "failed", None: "not compared"}
    assert [one["outcome"] for one in found["findings"]] == [outcomes[one["passed"]] for one in found["findings"]]


@pytest.mark.parametrize("share", [0.0, 0.1])
def test_a_mean_over_tokens_is_found_whether_dropout_draws_by_itself_or_not(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"tokens_{round(10 * share)}_task"
    found = named(check(f"def task():\n    return of_tokens({share})\n", tmp_path, name, monkeypatch), "virtual")
    assert found.passed is False
    differences = [float(value) for value in re.findall(r"\d\.\de-\d+", found.found)]
    assert differences == pytest.approx([0.049, 0.086, 0.12], rel=0.1)  # with and without dropout
    assert ("the submodules in evaluation mode" in found.compared) == (share > 0)


def test_a_model_that_always_draws_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not called exact: each group goes through it alone in any split."""
    drawing = "def task():\n    return make(model=network(Drawing(0.1, always=True)))\n"
    checked = check(drawing, tmp_path, "drawing_task", monkeypatch)
    found = named(checked, "virtual workers")
    assert (found.passed, found.outcome) == (None, "not compared")
    assert "in evaluation mode too" in found.found
    assert failed(checked) == ["evaluating twice gives the same"]
    assert checked.to_json()["num_not_compared"] == checked.num_not_compared >= 2  # that the metric moves is the other


def test_frozen_parameters_and_a_negative_loss_are_no_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = """
def task():
    def model():
        made = network()()
        made[0].requires_grad_(False)
        return made
    return make(model=model, loss=lambda o, t: cross_entropy(o, t) - 10)
"""
    checked = check(task, tmp_path, "frozen_task", monkeypatch)
    assert failed(checked) == []
    assert named(checked, "frozen").found == "2 of 4 are frozen and stay; 2 others move"
    assert re.match(r"the loss is negative \(-9\.\d+\), as that of a likelihood may be", checked.notes[-1])


def test_data_made_when_the_module_is_imported_are_not_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = "def task():\n    return make(train_data=TensorDataset(X, Y))\n"
    found = named(check(task, tmp_path, "imported_task", monkeypatch), "the data are the same")
    assert found.passed is None
    assert "the second task has the train_data of the first" in found.found


def test_nothing_is_spoilt_for_the_checks_that_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = "spoiling_task"
    check(f"def task():\n    return make({BROKEN['in place'][0]})\n", tmp_path, module, monkeypatch)
    task = load_task(f"{module}:task", {})
    again = make_task(f"{module}:task", {})
    inputs, unspoilt = (one.validation_data.tensors[0] for one in (task, again))  # type: ignore[attr-defined]
    assert inputs.equal(unspoilt)


STUDY = """
name: mine
task: TASK
workers: [1, 2]
space:
  global_batch_size: {choices: [16, 64]}
  norm_batch_size: 8
  learning_rate: {low: 0.1, high: 1.0, scale: log}
  task.width: {choices: [4, 8]}
execution: {precision: float32}
budget: {trials: 3, examples_per_trial: 2000}
"""
SIZED = (
    "def task(width):\n    return make(model=lambda: nn.Sequential(nn.Linear(6, width), nn.BatchNorm1d(width), "
    "nn.Linear(width, 3)), evaluation_examples=16, loss=LOSS)\n"
)


@pytest.mark.usefixtures("timed")
def test_a_study_gives_its_own_space_and_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sized = SIZED.replace("LOSS", "cross_entropy").replace("nn.BatchNorm1d(width), ", "")
    checked = check(sized, tmp_path, "sized_task", monkeypatch, STUDY)
    assert checked.num_failed == 0, checked.findings
    cost = checked.cost
    assert cost is not None
    assert (cost.trials, cost.examples_per_trial, cost.batch_sizes) == (3, 2000, (16, 64))
    assert cost.study_seconds == pytest.approx(3 * sum(cost.trial_seconds) / 2)
    assert "in 8" in named(checked, "virtual workers").found
    assert named(checked, "every batch size").found == "batch 16 to 64: at most 125 to 31 steps, in groups of 8"


@pytest.mark.parametrize(
    ("loss", "old", "new", "said"),
    [
        ("cross_entropy", "norm_batch_size: 8", "norm_batch_size: 1",
         r"study.yaml:7: norm_batch_size: a group of 1 examples cannot take a step, and groups of 8 can: ValueError"),
        ("cross_entropy", "[16, 64]", "[1, 64]",
         r"study.yaml:6: global_batch_size: a group of 1 examples cannot take a step, and groups of 8 can"),
        ("lambda o, t: cross_entropy(o, t) if o.dtype == torch.float32 else 1 / 0", "float32", "bfloat16",
         r"study.yaml:10: execution: a step fails with {'precision': 'bfloat16'} and is taken without: ZeroDivision"),
        ("cross_entropy", "[16, 64]", "[16, 4096]",
         r"study.yaml:11: budget.examples_per_trial: 2,000 examples are less than one step of batch 4,096"),
    ],
)  # fmt: skip
def test_a_key_of_the_study_file_is_blamed_at_its_line_and_not_the_task(
    loss: str, old: str, new: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"blamed_{re.sub(r'[^a-z0-9]', '', new)}_task"
    checked = check(SIZED.replace("LOSS", loss), tmp_path, name, monkeypatch, STUDY.replace(old, new))
    assert failed(checked) == ["every batch size can take a step"]
    found = named(checked, "every batch size can take a step")
    assert found.way_out.startswith(said)
    assert found.found == "the study file asks for what cannot be"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("task.width", "task.depth", r"study.yaml:9: space.task.depth: .* takes no option 'depth'"),
        ("budget", "target: {metric: val_acc, above: 0.9}\nbudget", r"study.yaml:11: target.metric: unknown metric"),
    ],
)  # fmt: skip
def test_what_the_task_does_not_know_is_named_at_its_line(
    old: str, new: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"unknown_{len(new)}_task"
    with pytest.raises(UserError, match=f"^{said}"):
        check(SIZED.replace("LOSS", "cross_entropy"), tmp_path, name, monkeypatch, STUDY.replace(old, new))


def test_a_task_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="does not import"):
        check_study(question_of("nowhere_at_all:task"))
    with pytest.raises(UserError, match="no file 'nothing"):
        question_of("nothing.yaml")


def test_lines_are_printed_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What the third check prints itself stands after the lines of the first two, though the output is a pipe."""
    task = "def task():\n    return make(model=lambda: (os.write(1, b'BUILT\\n'), network()())[1])\n"
    (tmp_path / "printing_task.py").write_text(COMMON + task)
    monkeypatch.syspath_prepend(str(tmp_path))
    check_study(question_of("printing_task:task"), print_line)
    lines = [line for line in capfd.readouterr().out.splitlines() if not line.startswith("      ")]
    assert [line[:4] for line in lines[:3]] == ["pass", "pass", "BUIL"]
    assert lines[1].startswith("pass  the data hold as many examples as they say: train_data says 400, and")


def command(*arguments: str, cwd: Path, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "largebatch", *arguments], cwd=cwd, input=typed, capture_output=True, text=True
    )


def test_the_command_says_it_in_lines_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{COMMON}\ndef task():\n    return make({BROKEN['sum'][0]})\n")
    done = command("check", "mine:task", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("largebatch: 1 of 15 checks failed")
    assert "FAIL  virtual workers are exact" in done.stdout
    assert "way out: the loss must be the mean over examples" in done.stdout
    assert "cost  " in done.stdout
    assert done.stdout.splitlines()[-1] == "14 passed, 1 failed, 0 not compared (which proves nothing)"


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
    from largebatch.studies.question.new_study import NewStudy, write_new

    for package in {"lightning": ["lightning"], "huggingface": ["transformers", "datasets"]}.get(kind, []):
        pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)
    study_file, _ = write_new(NewStudy(name=f"of-{kind}", kind=kind, most_workers=64, minutes=3), tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    checked = check_study(question_of(str(study_file)))
    assert failed(checked) == []
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
