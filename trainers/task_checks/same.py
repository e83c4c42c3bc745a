"""Whether two states are the same to the bit."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def entries(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values inside dicts, lists and tuples, by their path."""
    if isinstance(state, dict | list | tuple):
        inner = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in inner:
            yield from entries(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, state


def differing(one: Any, other: Any) -> list[str]:
    """The paths of the values that differ in two states of one structure."""
    return [
        name for (name, first), (_, second) in zip(entries(one), entries(other), strict=True) if not same(first, second)
    ]


def same(one: Any, other: Any) -> bool:
    """Of two values or tensors; NaN equals NaN and nothing else."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        return bool(((one == other) | ((one != one) & (other != other))).all())
    return one is other or bool(one == other or (one != one and other != other))
