"""Evenly spaced times of a waveform, in units of the total mass M, with the merger at 0."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from largebatch.spaces.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """``num_samples`` times from ``first`` on, ``step`` apart (both in M)."""

    first: float
    step: float
    num_samples: int

    def __post_init__(self) -> None:
        if not (self.step > 0 and self.num_samples >= 2):
            raise UserError(
                f"times: step > 0 and num_samples >= 2 must hold; got step={self.step:g}, "
                f"num_samples={self.num_samples}"
            )

    def values(self) -> NDArray[np.float64]:
        """The times, shape ``(num_samples,)``."""
        return self.first + self.step * np.arange(self.num_samples, dtype=np.float64)

    def last(self, num_samples: int, *, stride: int = 1) -> "Times":
        """The last ``num_samples`` of every ``stride``-th time."""
        end = self.first + self.step * (self.num_samples - 1)
        step = self.step * stride
        return Times(first=end - step * (num_samples - 1), step=step, num_samples=num_samples)


ROM_TIMES = Times(first=-5_000.0, step=2.0, num_samples=2_566)
"""The times of the coefficients that ship."""

PAPER_TIMES = Times(first=-10_000.0, step=0.1, num_samples=101_300)
"""Khan, Huerta, Das (2020), arXiv 2004.09524; their surrogate alone reaches so far back."""

LONG_TIMES = Times(first=-5_000.0, step=5_130 / 101_300, num_samples=101_300)
"""As many samples as the paper's over what the reduced-order model covers: half the duration, half the step."""
