"""Choosing between two fits of few points, and carrying the misfit of the chosen one.

References: Akaike (1974), IEEE TAC 19:716; the correction for few points, Hurvich, Tsai (1989), Biometrika 76:297.
"""

import math

import numpy as np

from largebatch.search.laws.law import Array

MIN_POINTS = 3
"""Batch sizes that reached the target below which no law is fitted."""


def akaike(rms: float, num_points: int, num_parameters: int) -> float:
    """Akaike's criterion for least squares, corrected for few points where these suffice."""
    penalty = 2.0 * (num_parameters + 1)
    if num_points - num_parameters - 2 > 0:
        penalty += penalty * (num_parameters + 2) / (num_points - num_parameters - 2)
    return float(2 * num_points * math.log(max(rms, 0.01)) + penalty)


def scatter_draws(rms: float, freedom: int, num_draws: int, rng: np.random.Generator) -> Array:
    """Draws of the law's misfit as a factor: Student's t, for few points leave its size uncertain."""
    freedom = max(freedom, 1)
    return np.exp(np.clip(rms * rng.standard_t(freedom + 2, num_draws), -2, 2))
