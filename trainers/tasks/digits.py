"""Handwritten digits: 1,797 real images of 8x8 pixels, a small ResNet, validation accuracy 0.95.

Data: the test set of E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository,
doi:10.24432/C50P49, as scikit-learn ships it. The split is fixed: every fifth image is for validation.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.trainers.models.resnet import ResNet
from largebatch.trainers.task import Metric, Task


def digits() -> Task:
    """1,437 training and 360 validation images, ten classes."""
    table = torch.from_numpy(_table())
    inputs = table[:, :64].reshape(-1, 1, 8, 8) / 16
    targets = table[:, 64].to(torch.int64)
    inputs = (inputs - inputs.mean()) / inputs.std()
    validation = torch.arange(len(targets)) % 5 == 4
    return Task(
        model=lambda: ResNet(blocks=(1, 1), width=8, num_classes=10, in_channels=1, stem="small"),
        train_data=TensorDataset(inputs[~validation], targets[~validation]),
        validation_data=TensorDataset(inputs[validation], targets[validation]),
        loss=cross_entropy,
        metrics={"val_accuracy": Metric(mean=_accuracy, low=0.0, high=1.0)},
        target=Target(metric="val_accuracy", above=0.95),
        max_examples=60_000,
        evaluation_examples=1_437,
    )


def _table() -> NDArray[np.float32]:
    """64 pixels from 0 to 16 and a label a row, from scikit-learn's own file.

    Importing ``sklearn.datasets`` for it would cost every worker a second and a half.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise UserError("task: digits needs scikit-learn's data; install it: pip install scikit-learn")
    return np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",", dtype=np.float32)


def _accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == targets).float().mean()
