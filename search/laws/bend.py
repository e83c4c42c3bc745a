"""The one curve of both laws: y = level + log(1 + middle / B), falling with slope -1 until it bends into a constant.

Steps to target follow it in log; the best learning rate does upside down.
"""

import math

import numpy as np
from scipy.optimize import least_squares

from largebatch.search.laws.law import Array


def fit_bend(
    batch_K: Array, y_K: Array, width_K: Array, side_K: Array, *, level: float, middle: float
) -> tuple[float, float, Array]:
    """Fit by least squares from ``level`` and ``middle``; return both and the misses.

    ``width_K`` are standard deviations of ``y_K``. ``side_K`` is 0 for a value, +1 for a lower bound of one and -1 for
    an upper bound; a bound counts only where the curve is on its wrong side.
    """

    def misses(parameters: Array) -> Array:
        difference = y_K - parameters[0] - np.log1p(np.exp(parameters[1]) / batch_K)
        return np.asarray(np.where(side_K == 0, difference, side_K * np.maximum(side_K * difference, 0.0)))

    span = (math.log(batch_K[0] / 100), math.log(batch_K[-1] * 100))
    guess = [level, float(np.clip(math.log(middle), span[0] + 0.1, span[1] - 0.1))]
    fit = least_squares(
        lambda parameters: misses(parameters) / width_K, guess, bounds=([-np.inf, span[0]], [np.inf, span[1]])
    )
    return float(fit.x[0]), math.exp(fit.x[1]), misses(fit.x)
