"""What a law is fitted to: one number a batch size, how sure it is, and whether it is a value or only a bound."""

from dataclasses import dataclass, replace

import numpy as np

from largebatch.search.laws.law import Array

MIN_POINTS = 3
"""Batch sizes with a value below which no law is fitted."""

VALUE, AT_LEAST, AT_MOST = 0, 1, -1
"""Sides: at least, where no trial reached the target; at most, where the best trial lies on the edge of its space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Arrays with one entry for each of K batch sizes, in rising order."""

    batch_K: Array
    log_K: Array
    """Natural logarithm of the value or bound."""
    width_K: Array
    """Its standard deviation."""
    side_K: np.ndarray
    noise: float = 0.0
    """Standard deviation of the logarithm of a single training, 0 where nothing was repeated."""

    @property
    def known(self) -> np.ndarray:
        """Which entries are values."""
        return np.asarray(self.side_K == VALUE)

    @property
    def span(self) -> tuple[float, float]:
        """Logarithms of the smallest and the largest batch size with a value."""
        known = np.log(self.batch_K[self.known])
        return float(known.min()), float(known.max())

    def first(self, number: int) -> "Points":
        """The first ``number`` entries alone."""
        return replace(
            self, batch_K=self.batch_K[:number], log_K=self.log_K[:number], width_K=self.width_K[:number],
            side_K=self.side_K[:number],
        )  # fmt: skip
