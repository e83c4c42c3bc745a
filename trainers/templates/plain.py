"""A task of your own: replace model and data."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from largebatch import Target, Task


def accuracy(outputs: Tensor, labels: Tensor) -> Tensor:
    """The mean over a batch, as every metric."""
    return (outputs.argmax(dim=1) == labels).float().mean()


def task(width: int = 64) -> Task:
    """Any torch data set of (inputs, targets) will do; `task.width` may be searched."""
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    return Task(
        model=lambda: nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10)),
        train_data=TensorDataset(x[:1400], y[:1400]),
        validation_data=TensorDataset(x[1400:], y[1400:]),
        loss=cross_entropy,
        metrics={"val_accuracy": accuracy},
        target=Target(metric="val_accuracy", above=0.88),
    )
