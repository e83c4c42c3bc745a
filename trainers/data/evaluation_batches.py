"""The validation examples in batches, each device its share; what an item draws at random it draws each time."""

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from largebatch.trainers.data.batch_source import BatchSource
from largebatch.trainers.data.batch_tree import collated, mapped
from largebatch.trainers.data.loader import SeededItems, resident_tensors, seeded_item
from largebatch.trainers.data.streamed import num_examples


class EvaluationBatches:
    """Batches of at most ``size`` examples; device ``rank`` of ``num_devices`` takes every ``num_devices``-th."""

    def __init__(
        self, data: Dataset[Any], device: torch.device, *, size: int, rank: int, num_devices: int, num_processes: int
    ) -> None:
        self._data, self._device = data, device
        self._size, self._rank, self._num_devices = size, rank, num_devices
        self._tensors = resident_tensors(data, device)
        self._num_processes = num_processes

    def batches(self, count: int) -> Iterator[tuple[Any, Any]]:
        """This device's batches of the first ``count`` examples."""
        starts = range(self._rank * self._size, count, self._num_devices * self._size)
        for inputs, targets in self._read([range(start, min(start + self._size, count)) for start in starts]):
            yield tuple(
                mapped(lambda tensor: tensor.to(self._device, non_blocking=True), part) for part in (inputs, targets)
            )

    def _read(self, parts: list[range]) -> Iterator[tuple[Any, Any]]:
        if self._tensors:
            yield from (self._slice(part) for part in parts)
        elif isinstance(self._data, BatchSource):
            for part in parts:
                yield self._data.batch(torch.arange(part.start, part.stop, device=self._device))
        else:
            keyed = [[(index, index) for index in part] for part in parts]
            if self._num_processes:
                yield from DataLoader(
                    SeededItems(self._data), batch_sampler=keyed, num_workers=self._num_processes, collate_fn=collated
                )
            else:
                for items in keyed:
                    yield collated([seeded_item(self._data, *item) for item in items])

    def _slice(self, part: range) -> tuple[Any, Any]:
        """Copies: a model or a metric that changes its inputs in place would change the only examples there are."""
        inputs, targets = (tensor[part.start : part.stop].to(self._device, copy=True) for tensor in self._tensors)
        return inputs, targets

    def __len__(self) -> int:
        return num_examples(self._data)
