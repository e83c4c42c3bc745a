"""Running out of memory: the largest pass that fits is found, remembered, reported, and changes no number."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Outcome
from largebatch.trainers.checkpoint import load_checkpoint
from largebatch.trainers.data.micro_batch import MicroBatch
from largebatch.trainers.profiling.step_timing import profile_steps
from largebatch.trainers.task import Task
from largebatch.trainers.workers.run_trial import attempt

from .problems import problem, recipe

CPU = torch.device("cpu")
passes: list[int] = []


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    passes.clear()


class Narrow(nn.Module):
    """Has memory for ``limit`` examples."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            passes.append(len(x))
            if len(x) > self.limit:
                raise torch.OutOfMemoryError(f"CUDA out of memory with {len(x)} examples")
        return x


def narrow(limit: int, kind: str = "augmented") -> Task:
    task = problem(kind)
    return dataclasses.replace(task, model=lambda: nn.Sequential(Narrow(limit), task.model()))


def trained(task: Task, folder: Path, **fields: object) -> tuple[Ending, dict[str, Tensor]]:
    ending = attempt(
        task, "narrow", recipe(**fields), Target(metric="val_loss", below=1e-9), max_examples=640, device=CPU,
        execution=Execution(), on_measurement=lambda _: "go on", checkpoint=folder / "last.pt", checkpoint_seconds=0.0,
        recorded_examples=-1,
    )  # fmt: skip
    return ending, load_checkpoint(folder / "last.pt", CPU)["training"]["model"]


@pytest.mark.parametrize("kind", ["augmented", "no-norm"])
def test_the_largest_pass_is_found_once_and_changes_nothing(kind: str, tmp_path: Path) -> None:
    _, expected = trained(narrow(10**6, kind), tmp_path / "wide")
    passes.clear()
    ending, weights = trained(narrow(13, kind), tmp_path / "narrow")
    assert ending.outcome is Outcome.EXHAUSTED
    for name, tensor in expected.items():
        torch.testing.assert_close(weights[name], tensor, rtol=0, atol=1e-10)
    found = MicroBatch("narrow", narrow(13, kind), CPU, Execution()).size
    assert found == (12 if kind == "augmented" else 13)  # groups of 4 that share statistics stay whole
    passes.clear()
    trained(narrow(13, kind), tmp_path / "again")
    assert max(passes) <= found  # it was not searched again


def test_a_group_that_does_not_fit_says_what_does(tmp_path: Path) -> None:
    rule = r"norm_batch_size: the 4 examples that share batch statistics .* and 3 is the most that fits on .*<= 3"
    with pytest.raises(UserError, match=rule):
        trained(narrow(3), tmp_path)


def test_nothing_fits(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not one example fits"):
        trained(narrow(0, "no-norm"), tmp_path)


def test_other_errors_are_not_taken_for_memory(tmp_path: Path) -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("shapes do not match")

    task = dataclasses.replace(problem(), model=Broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        trained(dataclasses.replace(task, model=lambda: nn.Sequential(Broken(), problem().model())), tmp_path)


def test_a_profile_reports_it() -> None:
    found = profile_steps("narrow", narrow(13), recipe(), [32], CPU, Execution())
    assert found.micro_batch_size == 12


def test_a_broken_memory_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "largebatch" / "micro_batch_sizes.json"
    path.parent.mkdir(parents=True)
    for text in ("{", json.dumps({"narrow": "x"}), "[]"):
        path.write_text(text)
        assert MicroBatch("narrow", narrow(13), CPU, Execution()).size == 256


REAL = """
import resource, sys, torch
from torch import nn
from pathlib import Path
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.workers.run_trial import attempt
from largebatch.trainers.data.micro_batch import MicroBatch
from largebatch.trainers.task import Task

inputs, targets = torch.randn(600, 1, 64, 64), torch.randint(0, 3, (600,))
model = lambda: nn.Sequential(nn.Conv2d(1, 64, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
                              nn.Flatten(), nn.Linear(64, 3))
target = Target(metric="val_loss", below=0.0)
few = TensorDataset(inputs[:8], targets[:8])
task = Task(model=model, train_data=TensorDataset(inputs, targets), validation_data=few,
            loss=cross_entropy, target=target, max_examples=1024, evaluation_examples=1024, micro_batch_size=512)
torch.set_num_threads(1)
recipe = Recipe(global_batch_size=512, learning_rate=0.1, norm_batch_size=16)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 700_000_000, used + 700_000_000))
ending = attempt(task, "real", recipe, target, max_examples=1024, device=torch.device("cpu"), execution=Execution(),
                 on_measurement=lambda _: False, checkpoint=None, checkpoint_seconds=1e9, recorded_examples=-1)
print(ending.outcome.value, ending.step, MicroBatch("real", task, torch.device("cpu"), Execution()).size)
"""


@pytest.mark.slow
def test_a_machine_that_really_has_no_more_memory() -> None:
    """A pass of 512 images needs over a gigabyte of activations, and the process may take 0.7."""
    done = subprocess.run([sys.executable, "-c", REAL], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    outcome, step, size = done.stdout.split()
    assert (outcome, step) == ("exhausted", "2")
    assert 16 <= int(size) < 512
    assert int(size) % 16 == 0
