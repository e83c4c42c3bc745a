"""Data sets that make whole batches where they are trained on: no disk, no loader."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from largebatch.trainers.data.batch_tree import mapped


class BatchSource(Dataset[Any]):
    """A data set whose examples are computed, a batch at a time, on the training device.

    An example is a function of its index alone, whichever batch, process or device makes it.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of examples."""

    @abstractmethod
    def batch(self, indices: Tensor) -> tuple[Any, Any]:
        """Inputs and targets of the examples at ``indices``, int64 of shape ``(batch,)``, on its device.

        They are the training's own: a model may change them in place, so no views of what later batches are made of.
        """

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """One example, on the CPU."""
        inputs, targets = self.batch(torch.tensor([index]))
        return mapped(lambda tensor: tensor[0], inputs), mapped(lambda tensor: tensor[0], targets)
