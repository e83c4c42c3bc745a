"""Where a metric first passed a value: between two evaluations, and nothing else is known of it."""

import math
from dataclasses import dataclass

UNIFORM = 1 / math.sqrt(12)
"""Standard deviation of what lies anywhere in an interval of length 1."""


@dataclass(frozen=True, slots=True)
class PassageInterval:
    """After ``low`` (the last evaluation before) and at ``high`` at the latest; ``middle`` is interpolated.

    Of what was passed at the first evaluation of a training, only ``high`` is known, an upper bound: ``middle`` lies on
    a straight line from the untrained model, which no curve follows. A passage at the first step is exact.
    """

    low: float
    middle: float
    high: float

    @property
    def is_bound(self) -> bool:
        """Whether ``high`` is all that is known."""
        return self.low < 1 < self.high

    @property
    def log_middle(self) -> float:
        """Logarithm of the best guess: of a bound, the middle of what lies between it and one step."""
        return math.log(self.high) / 2 if self.is_bound else math.log(max(self.middle, 1.0))

    @property
    def log_spread(self) -> float:
        """Standard deviation in log, of a passage that lies anywhere in the interval, and after one step at least."""
        return UNIFORM * math.log(max(self.high, 1.0) / max(self.low, 1.0))

    @property
    def bound_spread(self) -> float:
        """``log_spread`` of a bound, else 0: for those who learn how interpolated steps scatter, errors included."""
        return self.log_spread if self.is_bound else 0.0
