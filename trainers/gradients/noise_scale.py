"""The gradient noise scale from gradients that are there anyway.

Notation: a global batch of B examples in c parts of b_i; g_i the mean gradient of a part, g of the batch;
L = sum_i (b_i / B) |g_i|^2, T = |g|^2. Then E[L] = |G|^2 + c tr Sigma / B and E[T] = |G|^2 + tr Sigma / B, so that
    |G|^2 = (c T - L) / (c - 1),   tr Sigma = B (L - T) / (c - 1),   B_simple = tr Sigma / |G|^2.
Reference: McCandlish et al. (2018), arXiv 1812.06162, appendix A.1. The two are averaged apart, a negative |G|^2 of one
step included, and then divided. With batch statistics the independent unit is a group of ``norm_batch_size``: compare
noise scales at equal group sizes alone.

The interval is Fieller's (1954, J. R. Stat. Soc. B 16:175) for a ratio of two correlated means, with Student's t and
the effective number of steps in the average; it is unbounded where |G|^2 cannot be told from zero.
"""

import math
from dataclasses import dataclass

import torch
from scipy.special import stdtrit
from torch import Tensor

DECAY = 0.95
"""Of the averages, a measured step: they hold about the last 40 steps."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseEstimate:
    """``value`` = ``gradient_trace / gradient_square`` in examples; ``low`` and ``high`` bound its 95 % interval."""

    value: float
    low: float
    high: float
    gradient_square: float
    gradient_trace: float


class NoiseScale:
    """Averages of |G|^2 and tr Sigma over the measured steps.

    ``sums`` holds, all exponentially weighted: the weights, their squares, |G|^2, tr Sigma, and the products |G|^4,
    (tr Sigma)^2, |G|^2 tr Sigma. A measured step waits on its device until an estimate is asked for.
    """

    def __init__(self, decay: float = DECAY) -> None:
        self._decays = torch.full((7,), decay, dtype=torch.float64)
        self._decays[1] = decay**2
        self.sums = torch.zeros(7, dtype=torch.float64)
        self._waiting: list[tuple[Tensor, int]] = []

    def add(self, step: Tensor, *, batch_size: int) -> None:
        """Take in c, L and T of one step, shape ``(3,)``, on any device; a step of one part tells nothing."""
        self._waiting.append((step, batch_size))

    def estimate(self) -> NoiseEstimate | None:
        """The noise scale, or None before the second measured step."""
        self._take_in()
        weight, weight_squares, *moments = self.sums.tolist()
        if weight == 0:
            return None
        square, trace, square_2, trace_2, product = (moment / weight for moment in moments)
        share = weight_squares / weight**2  # of the average's variance in that of one step
        if share >= 1:
            return None
        spread = share / (1 - share)
        value = trace / square if square != 0 else math.inf
        low, high = _fieller(
            trace, square,
            max(trace_2 - trace**2, 0.0) * spread, max(square_2 - square**2, 0.0) * spread,
            (product - square * trace) * spread,
            float(stdtrit(1 / share - 1, (1 + CONFIDENCE) / 2)),
        )  # fmt: skip
        return NoiseEstimate(value=value, low=low, high=high, gradient_square=square, gradient_trace=trace)

    def state(self) -> Tensor:
        """All that resuming needs."""
        self._take_in()
        return self.sums.clone()

    def load_state(self, state: Tensor) -> None:
        """Go on from ``state``."""
        self.sums = state.to("cpu", torch.float64).clone()

    def _take_in(self) -> None:
        for step, batch_size in self._waiting:
            num_parts, mean_of_squares, square_of_mean = step.tolist()
            if num_parts < 2:
                continue
            square = (num_parts * square_of_mean - mean_of_squares) / (num_parts - 1)
            trace = batch_size * (mean_of_squares - square_of_mean) / (num_parts - 1)
            if math.isfinite(square) and math.isfinite(trace):
                new = (1.0, 1.0, square, trace, square**2, trace**2, square * trace)
                self.sums = self.sums * self._decays + torch.tensor(new, dtype=torch.float64)
        self._waiting.clear()


def _fieller(
    above: float, below: float, above_variance: float, below_variance: float, covariance: float, quantile: float
) -> tuple[float, float]:
    """The ratios ``r`` >= 0 for which ``above - r below`` is within ``quantile`` of its standard deviations of zero."""
    a = below**2 - quantile**2 * below_variance
    b = above * below - quantile**2 * covariance
    c = above**2 - quantile**2 * above_variance
    discriminant = b**2 - a * c
    if discriminant < 0 or a == 0:
        return 0.0, math.inf
    roots = sorted(((b - math.sqrt(discriminant)) / a, (b + math.sqrt(discriminant)) / a))
    if a > 0:
        return max(roots[0], 0.0), max(roots[1], 0.0)
    return max(roots[1], 0.0), math.inf  # the other branch is that of a negative noise scale
