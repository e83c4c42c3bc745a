"""Handwritten digits: 1,797 real images of 8x8 pixels, a small ResNet, validation accuracy 0.95.

Data: the test set of E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI repository,
doi:10.24432/C50P49, as scikit-learn ships it. The split is fixed: every fifth image is for validation.
"""

import torch
from largebatch.spaces.target import Target
from largebatch.trainers.models.resnet import ResNet
from largebatch.trainers.task import Metric, Task
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset


def digits() -> Task:
    """1,437 training and 360 validation images, ten classes."""
    from sklearn.datasets import load_digits

    data = load_digits()
    inputs = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    targets = torch.tensor(data.target, dtype=torch.int64)
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


def _accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == targets).float().mean()
