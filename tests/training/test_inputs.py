"""A model or a metric that changes what it is handed in place changes no later step, evaluation or trial."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, TensorDataset

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

X = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
Y = X[:, :2].argmax(1)


class Halving(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.mul_(0.5))


def spoiling(outputs: Tensor, targets: Tensor) -> Tensor:
    value = (outputs.argmax(1) == targets).float().mean()
    targets.zero_()
    return value


class Items(Dataset[Any]):
    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets = inputs, targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Any:
        return self.inputs[index], self.targets[index]


@pytest.mark.parametrize("kind", [TensorDataset, Items])
@pytest.mark.parametrize("micro_batch_size", [8, 64])
def test_the_examples_stay_as_they_are(kind: type[Dataset[Any]], micro_batch_size: int) -> None:
    inputs, targets = X.clone(), Y.clone()
    data = kind(inputs, targets)  # type: ignore[call-arg]
    task = Task(
        model=lambda: Halving(4, 2), train_data=data, validation_data=data, loss=cross_entropy,
        metrics={"val_accuracy": spoiling}, target=Target(metric="val_accuracy", above=0.99),
        micro_batch_size=micro_batch_size,
    )  # fmt: skip
    recipe = Recipe(global_batch_size=16, norm_batch_size=8, learning_rate=0.1)
    first = None
    for _ in range(2):  # trials
        training = Training(task, recipe, max_examples=1_000, device=torch.device("cpu"))
        values = [training.evaluate(), training.evaluate()]
        assert values[0] == values[1]
        first = first or values[0]
        assert values[0] == first
        training.train_step()
    assert torch.equal(inputs, X)
    assert torch.equal(targets, Y)
