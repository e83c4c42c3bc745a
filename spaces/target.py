"""The target that ends a training."""

import math

from pydantic import BaseModel, ConfigDict, model_validator


class Target(BaseModel):
    """A metric and the bound that it must pass: exactly one of ``above`` and ``below``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    metric: str
    """One of the task's metrics."""
    above: float | None = None
    """For a metric that grows, such as an accuracy."""
    below: float | None = None
    """For a metric that falls, such as a loss."""

    @model_validator(mode="after")
    def _one_bound(self) -> "Target":
        if (self.above is None) == (self.below is None):
            raise ValueError(
                f"exactly one of `above` and `below` must be given; got above={self.above}, below={self.below}"
            )
        return self

    @property
    def bound(self) -> float:
        """The value to pass, in the metric's own unit."""
        bound = self.above if self.above is not None else self.below
        assert bound is not None
        return bound

    @property
    def sign(self) -> float:
        """+1 where smaller is better, -1 where larger is better: ``sign * value`` is minimised."""
        return -1.0 if self.above is not None else 1.0

    def reached(self, value: float) -> bool:
        """Whether ``value`` meets the bound; what is not finite never does."""
        return math.isfinite(value) and self.sign * value <= self.sign * self.bound

    def __str__(self) -> str:
        return f"{self.metric} {'above' if self.above is not None else 'below'} {self.bound:g}"
