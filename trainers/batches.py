"""Which examples make each step: one global shuffle an epoch, dealt to groups.

The epochs' shuffles form one endless stream; step ``t`` takes the ``B`` examples from position ``t B`` on, whole, so
that no batch is ever partial and the position in the data follows from the step alone.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset, default_collate


class ShuffledStream:
    """The endless stream of example indices of one seed; the same on every process and for every split."""

    def __init__(self, num_examples: int, seed: int) -> None:
        self._num_examples = num_examples
        self._seed = seed
        self._epochs: dict[int, NDArray[np.int64]] = {}

    def batch(self, step: int, global_batch_size: int) -> NDArray[np.int64]:
        """Indices of step ``step``, shape ``(global_batch_size,)``."""
        start, stop = step * global_batch_size, (step + 1) * global_batch_size
        first, last = start // self._num_examples, (stop - 1) // self._num_examples
        self._epochs = {epoch: self._shuffle(epoch) for epoch in range(first, last + 1)}
        stream = np.concatenate([self._epochs[epoch] for epoch in range(first, last + 1)])
        return stream[start - first * self._num_examples : stop - first * self._num_examples]

    def _shuffle(self, epoch: int) -> NDArray[np.int64]:
        known = self._epochs.get(epoch)
        return np.random.default_rng((self._seed, epoch)).permutation(self._num_examples) if known is None else known


def take(data: Dataset[Any], indices: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor]:
    """The examples at ``indices`` as one batch of ``(inputs, targets)`` on ``device``."""
    if isinstance(data, TensorDataset):
        inputs, targets = (tensor[torch.from_numpy(indices)] for tensor in data.tensors)
    else:
        inputs, targets = default_collate([data[int(index)] for index in indices])
    return inputs.to(device, non_blocking=True), targets.to(device, non_blocking=True)


def num_examples(data: Dataset[Any]) -> int:
    """The length of a map-style data set."""
    return len(data)  # type: ignore[arg-type]
