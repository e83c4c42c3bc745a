"""Seconds of a step at the worker counts that a plan is for, as searchers and schedulers are told them."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class StepSeconds(Protocol):
    """What a step of a global batch size takes at each of ``workers``."""

    @property
    def workers(self) -> tuple[int, ...]:
        """The W worker counts of the plan."""

    def log_seconds(self, global_batch_size: int) -> NDArray[np.float64]:
        """Shape (W,): log of the seconds, infinite where the batch cannot be dealt to so many in whole groups."""

    def alone(self, global_batch_size: int) -> float:
        """Seconds of the step on the devices of one trial."""
