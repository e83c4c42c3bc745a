"""Data sets that can only be iterated: read in their own order, pass after pass, shuffled within windows.

Example ``n`` is the ``n``-th item that iterating over and over yields. Each window of ``WINDOW`` examples in a row is
shuffled by the recipe's seed; more is not possible without reading all, so a data set that lies sorted must be shuffled
where it is stored. Every device reads the whole stream and takes its own groups, so a split over devices changes
nothing and a data set must not deal itself out by rank. Going on from a checkpoint reads up to the place again.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, IterableDataset

from largebatch.spaces.errors import UserError

WINDOW = 1024


class Streamed(Dataset[Any]):
    """The endless stream of an iterable data set, kept a few windows at a time.

    What the data set draws from torch's, numpy's or Python's generator while it is iterated is seeded by the pass
    alone. One with ``set_epoch`` is told the pass.
    """

    def __init__(self, data: IterableDataset[Any]) -> None:
        if not hasattr(data, "__len__"):
            raise UserError(
                f"task: an iterable data set must say how many examples a pass has; give {type(data).__name__} a "
                f"`__len__`"
            )
        self._data = data
        self._windows: dict[int, list[Any]] = {}
        self._restart()

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Any:
        return self.items([index])[0]

    def _restart(self) -> None:
        self._stream = self._passes()
        self._windows.clear()
        self._next_window = 0
        self._random: Any = None

    def items(self, indices: Sequence[int]) -> list[Any]:
        """The items at some places of the stream; windows before all of them are forgotten."""
        first, last = min(indices) // WINDOW, max(indices) // WINDOW
        if first < min(self._windows, default=self._next_window):
            self._restart()
        with self._own_random():
            while self._next_window <= last:
                window = [next(self._stream) for _ in range(WINDOW)]
                if self._next_window >= first:
                    self._windows[self._next_window] = window
                self._next_window += 1
        self._windows = {number: window for number, window in self._windows.items() if number >= first}
        return [self._windows[index // WINDOW][index % WINDOW] for index in indices]

    def num_yielded(self, most: int, tired: Callable[[], bool]) -> int | None:
        """Items of the first pass, counted up to ``most``; None where that was given up. The stream starts again."""
        self._restart()
        count = 0
        with self._own_random():
            _seed(0)
            if hasattr(self._data, "set_epoch"):
                self._data.set_epoch(0)
            for _ in itertools.islice(self._data, most):
                count += 1
                if tired():
                    return None
        self._restart()
        return count

    def _passes(self) -> Iterator[Any]:
        number = 0
        while True:
            _seed(number)
            if hasattr(self._data, "set_epoch"):
                self._data.set_epoch(number)
            empty = True
            for item in self._data:
                empty = False
                yield item
            if empty:
                raise UserError(f"task: pass {number} over {type(self._data).__name__} yields nothing")
            number += 1

    @contextmanager
    def _own_random(self) -> Iterator[None]:
        """The stream's generators go on where they were, and so do everybody else's."""
        others = _random_state()
        if self._random is not None:
            _set_random_state(self._random)
        try:
            yield
        finally:
            self._random = _random_state()
            _set_random_state(others)


class WindowedStream:
    """Places of the stream in the order of one seed: each window shuffled by itself."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def take(self, start: int, count: int) -> NDArray[np.int64]:
        """Places that make the examples from ``start`` on, shape ``(count,)``."""
        first, last = start // WINDOW, (start + count - 1) // WINDOW
        windows = [
            number * WINDOW + np.random.default_rng((self._seed, number)).permutation(WINDOW)
            for number in range(first, last + 1)
        ]
        return np.concatenate(windows)[start - first * WINDOW :][:count]


class Kept(Dataset[Any]):
    """The items of an iterable validation set: read once, and kept in memory."""

    def __init__(self, data: IterableDataset[Any]) -> None:
        _seed(0)
        self._items = list(data)
        self.promised = len(data) if hasattr(data, "__len__") else None
        """What the data set says itself."""

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> Any:
        return self._items[index]


def num_examples(data: Dataset[Any]) -> int:
    """The length of a data set: of a pass, where it is iterated."""
    return len(data)  # type: ignore[arg-type]


def _seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.default_generator.manual_seed(number)


def _random_state() -> Any:
    return random.getstate(), np.random.get_state(), torch.default_generator.get_state()


def _set_random_state(state: Any) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.default_generator.set_state(state[2])
