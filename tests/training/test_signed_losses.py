"""Losses of any sign train and diverge alike; what is not finite meets no target and is never the best."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import RECORDED, Ending, Measurement, Outcome
from largebatch.trainers.checkpoint import load_checkpoint
from largebatch.trainers.divergence import has_diverged
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = X.sum(1, keepdim=True)


def regression(loss: Callable[[Tensor, Tensor], Tensor], **changes: object) -> Task:
    def model() -> nn.Module:
        linear = nn.Linear(4, 1, dtype=torch.float64)
        nn.init.zeros_(linear.weight)
        nn.init.zeros_(linear.bias)
        return linear

    fields = {"model": model, "train_data": TensorDataset(X, Y), "validation_data": TensorDataset(X, Y), "loss": loss,
              "metrics": {"val_square": lambda outputs, targets: (outputs - targets).square().mean()},
              "target": Target(metric="val_square", below=0.01)}  # fmt: skip
    return Task(**{**fields, **changes})  # type: ignore[arg-type]


def trained(task: Task, rate: float = 0.1, **arguments: object) -> tuple[Ending, list[Measurement]]:
    recipe = Recipe(global_batch_size=16, learning_rate=rate, momentum=0.0, optimizer="sgd", weight_averaging="none")
    measurements: list[Measurement] = []
    training = Training(task, recipe, max_examples=2_000, device=torch.device("cpu"))
    told = lambda one: measurements.append(one) or "go on"  # noqa: E731
    return run_to_target(training, task.target, on_measurement=told, **arguments), measurements  # type: ignore[arg-type]


@pytest.mark.parametrize("shift", [0.0, -10.0, -4.0, 10.0])
def test_a_constant_in_the_loss_changes_nothing(shift: float) -> None:
    """4 is about the first loss: with -4 it begins near zero, on either side."""
    plain, _ = trained(regression(lambda outputs, targets: (outputs - targets).square().mean()))
    moved, _ = trained(regression(lambda outputs, targets: (outputs - targets).square().mean() + shift))
    assert moved.outcome is plain.outcome is Outcome.REACHED
    assert moved.steps_to_target == plain.steps_to_target
    up, measured = trained(regression(lambda outputs, targets: (outputs - targets).square().mean() + shift), rate=2.0)
    assert up.outcome is Outcome.DIVERGED
    assert measured[-1].examples < 2_000
    assert "training loss" in up.reason


def test_a_loss_that_begins_at_zero_trains() -> None:
    """The gain over what the untrained model says, which is exactly zero at first."""
    ending, measured = trained(
        regression(lambda outputs, targets: (outputs - targets).square().mean() - targets.square().mean())
    )
    assert measured[0].values["val_loss"] == 0.0
    assert ending.outcome is Outcome.REACHED


NAN, INF = math.nan, math.inf
CASES = [  # mean, first, untrained, lowest, whether it has diverged
    (9.99, 1.0, NAN, 0.5, False),
    (10.01, 1.0, NAN, 0.5, True),  # as ever for positive losses
    (10.01, 1.0, 1.2, 0.5, False),  # the first batch was an easy one
    (-6.74, -8.9, -8.8, -9.0, False),
    (71.1, -8.9, -8.9, -8.9, False),
    (71.3, -8.9, -8.9, -8.9, True),
    (0.5, 0.0, 0.0, 0.0, False),  # no scale
    (0.5, 0.0, 0.7, 0.0, False),
    (6.4, 0.0, 0.7, 0.0, True),
    (0.8, 1e-9, 1e-9, -0.1, False),  # noise about zero
    (1.0, 1e-9, 1e-9, -0.1, True),
    (INF, 1.0, 1.0, 1.0, True),
    (NAN, 0.0, 0.0, INF, True),
    (-INF, -1.0, -1.0, -1.0, True),
    (9.0, 1.0, INF, INF, False),  # as a checkpoint of an earlier version
]


@pytest.mark.parametrize(("mean", "first", "untrained", "lowest", "diverged"), CASES)
def test_the_bound(mean: float, first: float, untrained: float, lowest: float, diverged: bool) -> None:
    assert has_diverged(mean, first=first, untrained=untrained, lowest=lowest) is diverged


@pytest.mark.parametrize(("bound", "wrong"), [({"above": 1.0}, math.inf), ({"below": 1.0}, -math.inf)])
def test_what_is_not_finite_never_meets_a_target(bound: dict[str, float], wrong: float, tmp_path: Path) -> None:
    target = Target.model_validate({"metric": "val_odd", **bound})
    assert not target.reached(wrong)
    assert not target.reached(math.nan)
    assert target.reached(1.0)
    values = [0.0, wrong, 2.0 if wrong < 0 else 0.5, wrong, 1.0]
    odd = lambda outputs, targets: torch.tensor(values.pop(0) if len(values) > 1 else values[0])  # noqa: E731
    task = regression(
        lambda outputs, targets: (outputs - targets).square().mean(),
        metrics={"val_odd": odd}, target=target, evaluation_examples=16,
    )  # fmt: skip
    if wrong < 0:
        values[0] = 3.0
    task.check_target(target)  # a metric without bounds can be anything
    path = tmp_path / "last.pt"
    ending, measured = trained(task, checkpoint=path)
    assert ending.outcome is Outcome.REACHED
    assert [one.values["val_odd"] for one in measured][1] == wrong
    assert ending.steps_to_target == 4.0  # at the evaluation after the last that was not finite
    assert load_checkpoint(tmp_path / "last.best.pt", torch.device("cpu"))["values"]["val_odd"] == 1.0


@pytest.mark.parametrize("name", [*sorted(RECORDED), "raw_val_loss", "raw_val_own"])
def test_a_metric_has_a_name_of_its_own(name: str) -> None:
    metric = lambda outputs, targets: outputs.mean()  # noqa: E731
    with pytest.raises(UserError, match=f"a metric must not be called '{name}'"):
        regression(lambda outputs, targets: outputs.mean(), metrics={"val_own": metric, name: metric})


def test_every_name_that_a_record_uses_is_taken() -> None:
    task = regression(lambda outputs, targets: (outputs - targets).square().mean(), max_examples=64)
    recipe = Recipe.model_validate(
        {"global_batch_size": 32, "norm_batch_size": 16, "learning_rate": 1e-3, "optimizer": "adam",
         "adaptive": "noise-scale", "base_batch_size": 32}
    )  # fmt: skip
    measured: list[Measurement] = []
    training = Training(task, recipe, max_examples=320, device=torch.device("cpu"))
    run_to_target(training, task.target, on_measurement=lambda one: measured.append(one) or "go on")  # type: ignore[func-returns-value]
    names = set(measured[-1].values) - set(task.all_metrics)
    fields = {field.name for field in dataclasses.fields(Measurement)} - {"values"}
    assert names | fields == RECORDED
