"""A task from a training step of your own: replace model, steps and data."""

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from largebatch import Target, Task, train_step_task


def train_step(model: nn.Module, batch: Any) -> Tensor:
    """The mean loss of a batch; backward pass and optimizer are the study's."""
    x, y = batch
    return cross_entropy(model(x), y)


def evaluate(model: nn.Module, batch: Any) -> dict[str, Tensor]:
    """Means over a batch of the validation data."""
    x, y = batch
    return {"val_accuracy": (model(x).argmax(dim=1) == y).float().mean()}


def task(width: int = 64) -> Task:
    """What the function takes may be searched, here as `task.width`."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    return train_step_task(
        model=lambda: nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10)),
        train_step=train_step,
        evaluate=evaluate,
        train_data=TensorDataset(x[:1400], y[:1400]),
        validation_data=TensorDataset(x[1400:], y[1400:]),
        target=Target(metric="val_accuracy", above=0.88),
    )
