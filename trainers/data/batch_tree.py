"""What inputs and targets may be: a tensor, or dicts, lists and tuples of tensors, all with the examples in front."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from largebatch.spaces.errors import UserError

WHAT_ITEMS_ARE = "an item must be a pair (inputs, targets) of tensors, numbers, or dicts and tuples of them"


def mapped(change: Callable[[Tensor], Tensor], batch: Any) -> Any:
    """The same with every tensor changed."""
    return change(batch) if isinstance(batch, Tensor) else _combined(lambda parts: change(parts[0]), [batch])


def tensors(batch: Any) -> Iterator[Tensor]:
    """Every tensor of a batch."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping | list | tuple):
        for part in batch.values() if isinstance(batch, Mapping) else batch:
            yield from tensors(part)


def length(batch: Any) -> int:
    """Number of examples."""
    return len(batch) if isinstance(batch, Tensor) else len(next(tensors(batch)))


def interleaved(batches: Sequence[Any]) -> Any:
    """Batches of the same length as one: example ``i`` comes from batch ``i % len(batches)``."""
    return _combined(lambda parts: torch.stack(parts, dim=1).flatten(0, 1), batches)


def part(batch: Any, start: int, count: int) -> Any:
    """``count`` examples from ``start`` on, or those that are left."""
    return mapped(lambda tensor: tensor[start : start + count], batch)


def collated(items: Sequence[Any]) -> tuple[Any, Any]:
    """Inputs and targets of some items of a data set.

    Raises:
        UserError: where items are no pairs, or cannot be put into one tensor.
    """
    first = items[0]
    if not isinstance(first, tuple | list) or len(first) != 2:
        size = f" of {len(first)} parts" if isinstance(first, tuple | list) else ""
        raise UserError(
            f"task: {WHAT_ITEMS_ARE}; got a {type(first).__name__}{size}; return ((a, b), target) for two inputs"
        )
    try:
        inputs, targets = default_collate(list(items))
    except (RuntimeError, TypeError) as error:
        raise UserError(
            f"task: {WHAT_ITEMS_ARE}, of the same shapes in every item ({error}); crop, pad or convert in the data set"
        ) from error
    return inputs, targets


def _combined(combine: Callable[[list[Tensor]], Tensor], batches: Sequence[Any]) -> Any:
    """One batch from several of the same structure, tensor by tensor."""
    first = batches[0]
    if isinstance(first, Tensor):
        return combine(list(batches))
    if isinstance(first, Mapping):
        return {name: _combined(combine, [batch[name] for batch in batches]) for name in first}
    if isinstance(first, list | tuple):
        parts = [_combined(combine, [batch[index] for batch in batches]) for index in range(len(first))]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    raise UserError(f"task: {WHAT_ITEMS_ARE}; got a {type(first).__name__} among them; leave it out")
