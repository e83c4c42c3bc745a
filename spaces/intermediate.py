"""The target's metric at a trial's evaluations: a mapping that grows without being copied.

A trial is a value, and a running one gets a new value with each measurement. So that this costs the same at the
20,000th as at the first, the values of one trial share two arrays, and each knows how much of them is its own.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import islice


class Intermediate(Mapping[int, float]):
    """Values by examples, in ascending order; never changes."""

    __slots__ = ("_examples", "_length", "_values")

    def __init__(self) -> None:
        self._examples, self._values, self._length = array("q"), array("d"), 0

    def added(self, examples: int, value: float) -> "Intermediate":
        """The same with one more, or with another value in its place.

        Raises:
            TypeError: if ``examples`` is no whole number or ``value`` no number.
        """
        later = Intermediate.__new__(Intermediate)
        if (self._length and examples <= self.last) or len(self._examples) > self._length:
            # A training that continues from its checkpoint repeats what came after it.
            place = bisect_left(self._examples, examples, hi=self._length)
            after = place + (place < self._length and self._examples[place] == examples)
            later._examples = self._examples[:place] + array("q", [examples]) + self._examples[after : self._length]
            later._values = self._values[:place] + array("d", [value]) + self._values[after : self._length]
            later._length = len(later._examples)
        else:
            later._examples, later._values, later._length = self._examples, self._values, self._length
            later.append(examples, value)
        return later

    def append(self, examples: int, value: float) -> None:
        """Add one after the last, in place: for who makes the mapping, before anyone else has it.

        Raises:
            TypeError: if ``examples`` is no whole number or ``value`` no number.
        """
        self._values.append(value)
        try:
            self._examples.append(examples)
        except (TypeError, OverflowError):
            self._values.pop()
            raise
        self._length += 1

    @property
    def last(self) -> int:
        """The examples of the last one, -1 where there is none."""
        return self._examples[self._length - 1] if self._length else -1

    def around(self, examples: float) -> tuple[int | None, int | None]:
        """The last one before ``examples``, and the first one that is not."""
        place = bisect_left(self._examples, examples, hi=self._length)
        before = self._examples[place - 1] if place else None
        return before, self._examples[place] if place < self._length else None

    def __getitem__(self, examples: int) -> float:
        place = bisect_left(self._examples, examples, hi=self._length)
        if place == self._length or self._examples[place] != examples:
            raise KeyError(examples)
        return self._values[place]

    def __iter__(self) -> Iterator[int]:
        return islice(self._examples, self._length)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return repr(dict(self))
