"""What was measured at the largest size, beside what a law says of it that was fitted without it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """The largest that was measured, and what the law says of it when it is fitted to the rest."""

    of: str
    """``global_batch_size`` or ``num_workers``."""
    at: int
    measured: float
    predicted: float
    low: float
    high: float
    error: float
    """predicted / measured - 1."""
