"""How examples come to the device: from memory, or from a data set that is read item by item.

A data set's own random augmentation is seeded by the example's key before the item is read, whichever process reads it.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset, default_collate

from largebatch.trainers.batches.example_random import example_keys
from largebatch.trainers.batches.shuffled_stream import ShuffledStream

RESIDENT_SHARE = 0.125
"""A data set of tensors that takes less than this share of a device's memory is kept there."""

Positions = NDArray[np.int64]
"""Places in the endless stream, shape ``(groups, examples of a group)``."""


class Loader:
    """The training examples of one device.

    Args:
        data: A map-style data set of ``(inputs, targets)``.
        seed: Of the shuffle and of all random numbers of the examples.
        device: Where batches go.
        num_processes: That read items of ``data`` ahead; 0 reads in this one. A data set of tensors needs none.
    """

    def __init__(self, data: Dataset[Any], seed: int, device: torch.device, num_processes: int) -> None:
        self._data, self._seed, self._device = data, seed, device
        self._stream = ShuffledStream(num_examples(data), seed)
        self._tensors = resident_tensors(data, device)
        self._num_processes = 0 if self._tensors else num_processes
        self._ahead: Iterator[tuple[Tensor, Tensor]] | None = None

    def take(self, positions_GN: Positions) -> tuple[Tensor, Tensor]:
        """Inputs and targets of some groups, interleaved: example ``i`` belongs to group ``i % G``."""
        if self._ahead is not None:
            groups = [next(self._ahead) for _ in positions_GN]
            inputs, targets = (torch.stack(parts, dim=1).flatten(0, 1) for parts in zip(*groups, strict=True))
        elif self._tensors:
            indices = torch.from_numpy(self._indices(positions_GN.T.reshape(-1)))
            inputs, targets = (tensor[indices.to(tensor.device)] for tensor in self._tensors)
        else:
            items = self.items(positions_GN.T)
            inputs, targets = default_collate([_seeded_item(self._data, *item) for item in items])
        return inputs.to(self._device, non_blocking=True), targets.to(self._device, non_blocking=True)

    def keys(self, positions_GN: Positions) -> Tensor:
        """The keys of the same examples, from which their random numbers follow."""
        return example_keys(self._seed, torch.from_numpy(positions_GN.T.reshape(-1)).to(self._device))

    def read_ahead(self, groups: Iterable[Positions]) -> None:
        """Let processes read the groups that ``take`` will ask for next, in this order, each of shape ``(1, N)``."""
        if self._num_processes:
            loader = DataLoader(
                _Seeded(self._data),
                batch_sampler=_Items(self, groups),
                num_workers=self._num_processes,
                pin_memory=self._device.type == "cuda",
            )
            self._ahead = iter(loader)

    def items(self, positions: Positions) -> list[tuple[int, int]]:
        """Index and key of each example."""
        flat = positions.reshape(-1)
        keys = example_keys(self._seed, torch.from_numpy(flat))
        return list(zip(self._indices(flat).tolist(), keys.tolist(), strict=True))

    def _indices(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        start = int(positions.min())
        return self._stream.take(start, int(positions.max()) - start + 1)[positions - start]


class _Items:
    """The batches of a ``DataLoader``: index and key of every example of each group."""

    def __init__(self, loader: Loader, groups: Iterable[Positions]) -> None:
        self._loader, self._groups = loader, groups

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return (self._loader.items(positions) for positions in self._groups)


class _Seeded(Dataset[Any]):
    """A data set that is asked for ``(index, key)``."""

    def __init__(self, data: Dataset[Any]) -> None:
        self._data = data

    def __getitem__(self, item: tuple[int, int]) -> Any:
        return _seeded_item(self._data, *item)


def _seeded_item(data: Dataset[Any], index: int, key: int) -> Any:
    random.seed(key)
    np.random.seed(key & 0xFFFFFFFF)
    torch.default_generator.manual_seed(key)
    return data[index]


def resident_tensors(data: Dataset[Any], device: torch.device) -> tuple[Tensor, ...]:
    """The tensors of a data set of tensors, on the device if they are small there; none for other data sets."""
    if not isinstance(data, TensorDataset):
        return ()
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in data.tensors)
    if device.type != "cuda" or num_bytes > RESIDENT_SHARE * torch.cuda.mem_get_info(device)[1]:
        return tuple(data.tensors)
    return tuple(tensor.to(device) for tensor in data.tensors)


def num_examples(data: Dataset[Any]) -> int:
    """The length of a map-style data set."""
    return len(data)  # type: ignore[arg-type]
