"""What a law is fitted to: one number a batch size, how sure it is, and whether it is a value or only a bound."""

from dataclasses import dataclass, field, replace

import numpy as np

from largebatch.search.laws.law import Array

MIN_POINTS = 3
"""Batch sizes with a value below which no law is fitted."""

VALUE, AT_LEAST, AT_MOST = 0, 1, -1
"""Sides: at least, where no trial reached the target; at most, where the best trial lies on the edge of its space, or
met the target before it was evaluated first."""

MUCH = 0.1
"""A share of an interval's width, for evaluating too rarely, from which it is said."""
EVALUATE_MORE = "evaluate more often (in a study: a smaller evaluation_examples of its task) and measure again"


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
    passage_K: Array = field(default_factory=lambda: np.zeros(0))
    """The part of ``width_K`` that is there only because evaluations lie far apart; empty where nothing says."""
    early_K: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    """Where the target was met before the first evaluation; empty where nothing says."""

    @property
    def known(self) -> np.ndarray:
        """Which entries are values."""
        return np.asarray(self.side_K == VALUE)

    @property
    def span(self) -> tuple[float, float]:
        """Logarithms of the smallest and the largest batch size with a value."""
        known = np.log(self.batch_K[self.known])
        return float(known.min()), float(known.max())

    @property
    def evaluation_shares(self) -> Array:
        """By how much, as a share of it, the width of each value would shrink if its passage were known exactly."""
        if not len(self.passage_K):
            return np.zeros(len(self.batch_K))
        alone = np.sqrt(np.maximum(self.width_K**2 - self.passage_K**2, 0.0))
        return np.where(self.known, 1 - alone / self.width_K, 0.0)

    @property
    def evaluation_words(self) -> str:
        """What evaluating too rarely costs, and what to do: nothing where it costs little."""
        told = []
        share_K, early = self.evaluation_shares, self.batch_K[self.early_K] if len(self.early_K) else np.zeros(0)
        if len(early):
            sizes = ", ".join(f"{size:.0f}" for size in early)
            told.append(f"at batch size {sizes} the target was met before the first evaluation, a bound is known alone")
        if share_K.max(initial=0.0) >= MUCH:
            most = int(np.argmax(share_K))
            told.append(
                f"up to {100 * share_K[most]:.0f} % of the width of the measured steps' intervals (at batch size "
                f"{self.batch_K[most]:.0f}) is there only because evaluations lie far apart"
            )
        return f"; {'; '.join(told)}: {EVALUATE_MORE}" if told else ""

    def first(self, number: int) -> "Points":
        """The first ``number`` entries alone."""
        return replace(
            self, batch_K=self.batch_K[:number], log_K=self.log_K[:number], width_K=self.width_K[:number],
            side_K=self.side_K[:number], passage_K=self.passage_K[:number], early_K=self.early_K[:number],
        )  # fmt: skip
