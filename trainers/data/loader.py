"""How examples come to the device: from memory, computed there, or from a data set that is read item by item.

A data set's own random augmentation is seeded by the example's key before the item is read, whichever process reads it.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from largebatch.trainers.data.batch_source import BatchSource
from largebatch.trainers.data.batch_tree import collated, interleaved, mapped
from largebatch.trainers.data.example_random import example_keys
from largebatch.trainers.data.shuffled_stream import ShuffledStream
from largebatch.trainers.data.streamed import Streamed, WindowedStream, num_examples

RESIDENT_SHARE = 0.125
"""A data set of tensors that takes less than this share of a device's memory is kept there."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of ``N`` examples: their indices in the data set, and where each group starts in the endless stream."""

    indices_GN: NDArray[np.int64]
    starts_G: Sequence[int]

    def __len__(self) -> int:
        return len(self.starts_G)

    def __getitem__(self, part: slice) -> "Groups":
        return Groups(self.indices_GN[part], self.starts_G[part])


class Loader:
    """The training examples of one device.

    Args:
        data: A map-style data set of ``(inputs, targets)``, a ``BatchSource``, or ``Streamed``. One with a
            ``shuffle_block`` is shuffled by blocks of so many neighbours; see ``ShuffledStream``.
        seed: Of the shuffle and of all random numbers of the examples.
        device: Where batches go.
        num_processes: That read items of ``data`` ahead; 0 reads in this one. Tensors and a ``BatchSource`` need none;
            ``Streamed`` is read in this one.
    """

    def __init__(self, data: Dataset[Any], seed: int, device: torch.device, num_processes: int) -> None:
        self._data, self._seed, self._device = data, seed, device
        self._stream: ShuffledStream | WindowedStream
        if isinstance(data, Streamed):
            self._stream = WindowedStream(seed)
        else:
            self._stream = ShuffledStream(num_examples(data), seed, getattr(data, "shuffle_block", None))
        self._tensors = resident_tensors(data, device)
        self._num_processes = 0 if self._tensors or isinstance(data, BatchSource | Streamed) else num_processes
        self._ahead: Iterator[tuple[Any, Any]] | None = None

    def groups(self, start: int, batch_size: int, group_size: int, rank: int, num_devices: int) -> Groups:
        """Device ``rank``'s groups of a step on the ``batch_size`` examples from place ``start`` of the stream on."""
        indices_GN = self._stream.take(start, batch_size).reshape(-1, group_size)[rank::num_devices]
        return Groups(indices_GN, range(start, start + batch_size, group_size)[rank::num_devices])

    def take(self, groups: Groups) -> tuple[Any, Any]:
        """Inputs and targets of some groups, interleaved: example ``i`` belongs to group ``i % G``."""
        inputs: Any
        targets: Any
        if self._ahead is not None:
            parts = [next(self._ahead) for _ in groups.starts_G]
            inputs, targets = (interleaved(part) for part in zip(*parts, strict=True))
        elif self._tensors:
            indices = torch.from_numpy(groups.indices_GN.T.reshape(-1)).to(self._tensors[0].device)
            inputs, targets = (tensor.index_select(0, indices) for tensor in self._tensors)
        elif isinstance(self._data, BatchSource):
            indices = torch.from_numpy(groups.indices_GN.T.reshape(-1)).to(self._device)
            inputs, targets = self._data.batch(indices)
        else:
            inputs, targets = collated(self._read(groups))
        if isinstance(inputs, Tensor) and isinstance(targets, Tensor):
            return inputs.to(self._device, non_blocking=True), targets.to(self._device, non_blocking=True)
        return tuple(
            mapped(lambda tensor: tensor.to(self._device, non_blocking=True), part) for part in (inputs, targets)
        )

    def keys(self, groups: Groups) -> Tensor:
        """The keys of the same examples, from which their random numbers follow."""
        count = groups.indices_GN.shape[1]
        positions_NG = torch.tensor(groups.starts_G)[None, :] + torch.arange(count)[:, None]
        return example_keys(self._seed, positions_NG.reshape(-1).to(self._device))

    def items(self, groups: Groups) -> list[tuple[int, int]]:
        """Index and key of each example, in the order of ``take``."""
        return list(zip(groups.indices_GN.T.reshape(-1).tolist(), self.keys(groups).tolist(), strict=True))

    def _read(self, groups: Groups) -> list[Any]:
        if isinstance(self._data, Streamed):
            return self._data.items(groups.indices_GN.T.reshape(-1).tolist())
        return [seeded_item(self._data, *item) for item in self.items(groups)]

    @property
    def reads_ahead(self) -> bool:
        """Whether processes do so now."""
        return self._ahead is not None

    def close(self) -> None:
        """End the processes that read ahead. Left to the garbage collector, they would be waited for in vain."""
        self._ahead = None

    def read_ahead(self, groups: Iterable[Groups]) -> None:
        """Let processes read the groups that ``take`` will ask for next, in this order, each by itself."""
        if self._num_processes:
            loader = DataLoader(
                SeededItems(self._data),
                batch_sampler=_Items(self, groups),
                num_workers=self._num_processes,
                collate_fn=collated,
                pin_memory=self._device.type == "cuda",
            )
            self._ahead = iter(loader)


class _Items:
    """The batches of a ``DataLoader``: index and key of every example of each group."""

    def __init__(self, loader: Loader, groups: Iterable[Groups]) -> None:
        self._loader, self._groups = loader, groups

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return (self._loader.items(groups) for groups in self._groups)


class SeededItems(Dataset[Any]):
    """A data set that is asked for ``(index, key)``."""

    def __init__(self, data: Dataset[Any]) -> None:
        self._data = data

    def __getitem__(self, item: tuple[int, int]) -> Any:
        return seeded_item(self._data, *item)


def seeded_item(data: Dataset[Any], index: int, key: int) -> Any:
    """An item whose own random augmentation, if any, follows from ``key``."""
    random.seed(key)
    np.random.seed(key & 0xFFFFFFFF)
    torch.default_generator.manual_seed(key)
    return data[index]


def resident_tensors(data: Dataset[Any], device: torch.device) -> tuple[Tensor, ...]:
    """Both tensors of a data set of tensors, on the device if they are small there; none for other data sets."""
    if not isinstance(data, TensorDataset) or len(data.tensors) != 2:
        return ()
    num_bytes = sum(tensor.numel() * tensor.element_size() for tensor in data.tensors)
    if device.type != "cuda" or num_bytes > RESIDENT_SHARE * torch.cuda.mem_get_info(device)[1]:
        return tuple(data.tensors)
    return tuple(tensor.to(device) for tensor in data.tensors)
