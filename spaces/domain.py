"""The values that one hyper-parameter may take.

Two kinds: a ``Range`` of numbers on a scale, and a ``Choice`` among values (a fixed value is a choice of one). Each
maps to and from the unit interval, the one coordinate that every searcher works in.
"""

import difflib
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Value = bool | int | float | str
Scale = Literal["linear", "log", "log2", "log1m"]
When = dict[str, list[Value]]


class _Domain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Domain):
    """Numbers from ``low`` to ``high``, both included.

    Scales: ``linear``; ``log``; ``log2`` (doublings of ``low``: 16, 32, 64, ..); ``log1m`` (log of 1 - value, for
    a momentum that nears 1).
    """

    low: Annotated[float, Field(allow_inf_nan=False)]
    high: Annotated[float, Field(allow_inf_nan=False)]
    scale: Scale = "linear"
    """How values are spread over the range."""
    when: When | None = None
    """Values of other hyper-parameters under which this one exists, such as ``{optimizer: [sgd]}``."""

    @model_validator(mode="after")
    def _bounds(self) -> "Range":
        got = f"got low={self.low:g}, high={self.high:g}"
        if self.low >= self.high:
            raise ValueError(f"`low < high` must hold; {got}; for one value write the value itself")
        if self.scale in ("log", "log2") and self.low <= 0:
            raise ValueError(f"`low > 0` must hold for scale {self.scale}; {got}; use scale: linear or a low > 0")
        if self.scale == "log1m" and self.high >= 1:
            raise ValueError(f"`high < 1` must hold for scale log1m; {got}; use scale: linear or a high < 1")
        if not math.isfinite(self.high - self.low) or self._line(self.low) == self._line(self.high):
            raise ValueError(f"low and high must be apart, and not by more than numbers can tell; {got}")
        if self.scale == "log2" and math.frexp(self.low)[0] != math.frexp(self.high)[0]:
            (low, low_power), (high, high_power) = math.frexp(self.low), math.frexp(self.high)
            last = math.ldexp(self.low, high_power - low_power - (high < low))
            raise ValueError(
                f"scale log2 doubles from low to high, so high must be low times a power of two; {got}; "
                f"use high: {last:g} or {2 * last:g}"
            )
        return self

    def values(self) -> tuple[float, ...] | None:
        """All values where they are finite (scale log2), else None."""
        if self.scale != "log2":
            return None
        doublings = math.frexp(self.high)[1] - math.frexp(self.low)[1]
        return tuple(math.ldexp(self.low, k) for k in range(doublings + 1))

    def grid(self, count: int) -> tuple[float, ...]:
        """``count`` values evenly spaced on the scale, the ends included; every value of a log2 range."""
        values = self.values()
        if values is not None:
            return values
        if count == 1:
            return (float(self.from_unit(0.5)),)
        return tuple(float(self.from_unit(k / (count - 1))) for k in range(count))

    def to_unit(self, value: Value) -> float:
        """Map a value to [0, 1] along the scale."""
        at = self._line(float(value))
        return (at - self._line(self.low)) / (self._line(self.high) - self._line(self.low))

    def from_unit(self, u: float) -> float:
        """Map [0, 1] to a value; on scale log2 every doubling has an equal share."""
        values = self.values()
        if values is not None:
            return values[min(int(u * len(values)), len(values) - 1)]
        if u in (0, 1):
            return self.high if u else self.low  # to the last digit: what the user wrote
        at = self._line(self.low) + u * (self._line(self.high) - self._line(self.low))
        value = math.exp(at) if self.scale == "log" else -math.expm1(at) if self.scale == "log1m" else at
        return min(max(value, self.low), self.high)

    def contains(self, value: Any) -> bool:
        """Whether ``value`` lies in the range (and, on scale log2, on one of its doublings)."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        values = self.values()
        return value in values if values is not None else self.low <= value <= self.high

    def _line(self, value: float) -> float:
        if self.scale in ("log", "log2"):
            return math.log(value)
        return math.log1p(-value) if self.scale == "log1m" else value


class Choice(_Domain):
    """One of the listed values."""

    choices: Annotated[tuple[Value, ...], Field(min_length=1)]
    """The values."""
    when: When | None = None
    """As in a range."""

    @model_validator(mode="after")
    def _distinct(self) -> "Choice":
        if len(set(self.choices)) < len(self.choices):
            raise ValueError(f"choices must be distinct; got {list(self.choices)}")
        return self

    def values(self) -> tuple[Value, ...]:
        """All values."""
        return self.choices

    def grid(self, count: int) -> tuple[Value, ...]:
        """All values, whatever the count."""
        del count
        return self.choices

    def to_unit(self, value: Value) -> float:
        """Map a choice to the middle of its share of [0, 1]."""
        return (self.choices.index(value) + 0.5) / len(self.choices)

    def from_unit(self, u: float) -> Value:
        """Map [0, 1] to a choice, each with an equal share."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]

    def contains(self, value: Any) -> bool:
        """Whether ``value`` is one of the choices."""
        return value in self.choices


def _kind(value: Any) -> str:
    """Which domain was meant, by its keys and be they misspelt: so that an error speaks of that one alone."""
    if not isinstance(value, dict):
        return "choice" if isinstance(value, Choice) else "range"
    if "low" in value or "high" in value:
        return "choice" if "choices" in value else "range"
    keys = [*Range.model_fields, "choices"]
    meant = {near for key in value for near in difflib.get_close_matches(str(key), keys, n=1)}
    return "choice" if "choices" in meant else "range"


Domain = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choice, Tag("choice")],
    Discriminator(_kind),
]


def fixed(value: Value) -> Choice:
    """The domain of one value."""
    return Choice(choices=(value,))
