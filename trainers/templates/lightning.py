"""A task from a LightningModule and a DataModule: replace both by yours."""

from typing import Any

import lightning
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from largebatch import Target, Task, lightning_task


class Digits(lightning.LightningDataModule):
    """Batch size and shuffle are the study's, whatever the loaders say."""

    def setup(self, stage: str) -> None:
        """Make the data sets."""
        images, labels = load_digits(return_X_y=True)
        x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
        self.train, self.validation = TensorDataset(x[:1400], y[:1400]), TensorDataset(x[1400:], y[1400:])

    def train_dataloader(self) -> DataLoader[Any]:
        """Of the training data."""
        return DataLoader(self.train, batch_size=32, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Of the validation data."""
        return DataLoader(self.validation, batch_size=32)


class Classifier(lightning.LightningModule):
    """Logs means over a batch; configure_optimizers is left to the study."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        x, y = batch
        return cross_entropy(self.layers(x), y)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """The figures of a batch."""
        x, y = batch
        self.log("val_accuracy", (self.layers(x).argmax(dim=1) == y).float().mean())


def task(width: int = 64) -> Task:
    """What the function takes may be searched, here as `task.width`."""
    return lightning_task(
        lambda: Classifier(width), Digits(), target=Target(metric="val_accuracy", above=0.88), max_examples=56_000
    )
