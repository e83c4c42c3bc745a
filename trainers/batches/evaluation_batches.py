"""The validation examples in batches, each device its share."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from largebatch.trainers.batches.batch_source import BatchSource
from largebatch.trainers.batches.loader import num_examples, resident_tensors


class EvaluationBatches:
    """Batches of at most ``size`` examples; device ``rank`` of ``num_devices`` takes every ``num_devices``-th."""

    def __init__(
        self, data: Dataset[Any], device: torch.device, *, size: int, rank: int, num_devices: int, num_processes: int
    ) -> None:
        self._data, self._device = data, device
        self._size, self._rank, self._num_devices = size, rank, num_devices
        self._tensors = resident_tensors(data, device)
        self._num_processes = num_processes

    def batches(self, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """This device's batches of the first ``count`` examples."""
        starts = range(self._rank * self._size, count, self._num_devices * self._size)
        for inputs, targets in self._read([range(start, min(start + self._size, count)) for start in starts]):
            yield inputs.to(self._device, non_blocking=True), targets.to(self._device, non_blocking=True)

    def _read(self, parts: list[range]) -> Iterator[tuple[Tensor, Tensor]]:
        if self._tensors:
            yield from (self._slice(part) for part in parts)
        elif isinstance(self._data, BatchSource):
            for part in parts:
                yield self._data.batch(torch.arange(part.start, part.stop, device=self._device))
        elif self._num_processes:
            yield from DataLoader(self._data, batch_sampler=parts, num_workers=self._num_processes)  # type: ignore[arg-type]
        else:
            for part in parts:
                inputs, targets = default_collate([self._data[index] for index in part])
                yield inputs, targets

    def _slice(self, part: range) -> tuple[Tensor, Tensor]:
        inputs, targets = (tensor[part.start : part.stop] for tensor in self._tensors)
        return inputs, targets

    def __len__(self) -> int:
        return num_examples(self._data)
