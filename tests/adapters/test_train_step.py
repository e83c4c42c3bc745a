"""Two functions as a task: it trains, is exact in every split, and says what it cannot take."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.adapters.train_step import train_step_task
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

X = torch.randn(200, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = (X.sum(1) > 0).long()


class Dicts(Dataset[Any]):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> Any:
        return {"x": X[index], "y": Y[index]}


def of(batch: Any) -> tuple[Tensor, Tensor]:
    return (batch["x"], batch["y"]) if isinstance(batch, dict) else tuple(batch)  # type: ignore[return-value]


def train_step(model: nn.Module, batch: Any) -> Any:
    x, y = of(batch)
    return {"loss": cross_entropy(model(x), y)}


def evaluate(model: nn.Module, batch: Any) -> dict[str, Any]:
    x, y = of(batch)
    return {"accuracy": (model(x).argmax(1) == y).double().mean(), "share": float(y.double().mean())}


def task(data: Any = None, step: Callable[..., Any] = train_step, measure: Any = evaluate, **changes: Any) -> Task:
    data = TensorDataset(X, Y) if data is None else data
    fields: dict[str, Any] = {"target": Target(metric="accuracy", above=0.95), "metrics": ["share"], **changes}
    return train_step_task(
        model=lambda: nn.Sequential(nn.Linear(5, 2, dtype=torch.float64)), train_step=step, evaluate=measure,
        train_data=data, validation_data=data, **fields,
    )  # fmt: skip


def trained(problem: Task, micro_batch_size: int = 256) -> Training:
    recipe = Recipe(global_batch_size=32, norm_batch_size=8, learning_rate=0.3)
    training = Training(
        problem, recipe, max_examples=10**5, device=torch.device("cpu"), micro_batch_size=micro_batch_size
    )
    for _ in range(40):
        training.train_step()
    return training


@pytest.mark.parametrize("data", [None, Dicts()], ids=["pairs", "dicts"])
def test_it_learns_the_same_in_every_split(data: Any) -> None:
    whole, split = (trained(task(data), size).evaluate() for size in (256, 8))
    assert set(whole) == {"val_loss", "accuracy", "share"}
    assert whole["accuracy"] > 0.95
    assert whole["share"] == pytest.approx(Y.double().mean().item())
    assert whole == pytest.approx(split, abs=1e-10)


def test_the_loss_of_the_evaluation_is_taken_where_there_is_one() -> None:
    found = trained(task(measure=lambda model, batch: {"accuracy": 1.0, "share": 0.0, "val_loss": 7.0})).evaluate()
    assert found["val_loss"] == 7.0


def by_itself(model: nn.Module, batch: Any) -> Tensor:
    loss: Tensor = train_step(model, batch)["loss"]
    loss.backward()
    return loss.detach()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step": by_itself}, r"leave backward\(\) and the optimizer's step to the study"),
        ({"step": lambda model, batch: 0.3}, "one number in a tensor; got a float"),
        ({"step": lambda model, batch: model(batch[0])}, r"got shape \(8, 2\)"),
        (
            {"measure": lambda model, batch: {"acc": 1.0}},
            "'accuracy' is measured; .* gives acc, val_loss",
        ),
        ({"measure": lambda model, batch: {"accuracy": "high", "share": 0.0}}, "accuracy must be a number"),
    ],
)
def test_what_it_cannot_take(changes: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        trained(task(**changes), 8).evaluate()
