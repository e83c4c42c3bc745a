"""Steps to target over batch size and learning rate, as the laws have them, from very few trials of one kind.

Notation: G batch sizes, T trials, P parameters, D draws; b = log B less its middle, x = log(effective learning rate),
y = log(steps to target).

Model: the valley of ``laws/batch_size/valley.py``, y = floor + (slope / c) (exp(c u) - c u - 1), u = x - place, with
floors that follow the hyperbola of McCandlish et al. (2018, arXiv 1812.06162), level + log(1 + B_crit / B), and places
on a parabola in b (a power of B that may saturate), each with departures of its own. How large departures are, and the
noise, is learned: where a law holds, one batch size tells of all others; where it does not, each speaks for itself.
Fit: draws from the posterior (``laws/posterior.py``); trials that did not reach the target are censored (Tobin 1958).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from largebatch.search.laws.batch_size.valley import LEAN, LEAN_SPREAD, NOISE, SLOPE, SLOPE_SPREAD, linex
from largebatch.search.laws.smc import draw_posterior

Array = NDArray[np.float64]

NUM_DRAWS, NUM_MOVES = 256, 6
POWER, POWER_SPREAD, BEND_SPREAD = 0.6, 0.35, 0.05
"""Prior of the best rate's power of B, and of its change with b."""
FLOOR_DEPARTURE, PLACE_DEPARTURE, SIZE_SPREAD = 0.1, 0.25, 0.8
"""Prior medians of departures of floors and places from their laws; the standard deviation of each one's logarithm,
and of the noise's."""
TAIL = 4.0
"""Degrees of freedom of the noise: now and then a training is unlucky beyond the normal distribution."""
MAX_RISE = 4.0
"""A valley's walls are cut at exp(4) times its floor: higher is all the same."""
NUM_LAW, NUM_SIZES = 7, 3
SLOPE_AT, LEAN_AT, PLACE, POWER_AT, BEND, LEVEL, CRITICAL = range(NUM_LAW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What trials say: y, or a lower bound of it where ``bound_T``, each with its own uncertainty beside the noise."""

    x_T: Array
    group_T: NDArray[np.int64]
    y_T: Array
    spread_T: Array
    bound_T: NDArray[np.bool_]

    def of(self, keep: NDArray[np.int64]) -> "Seen":
        """Some of the trials."""
        return Seen(
            x_T=self.x_T[keep], group_T=self.group_T[keep], y_T=self.y_T[keep], spread_T=self.spread_T[keep],
            bound_T=self.bound_T[keep],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """Normal priors of the laws' seven parameters: in the order of the constants above."""

    mean: Array
    spread: Array


def first_prior(x_low: float, x_high: float, log_batch_G: Array, level: float) -> Prior:
    """Before anything is known: the best rate near the middle of its range, ``level`` = log(steps) of a large batch."""
    half = (log_batch_G[-1] - log_batch_G[0]) / 2
    mean = [math.log(SLOPE), math.log(LEAN), (x_low + x_high) / 2, POWER, 0.0, level, 0.0]
    spread = [SLOPE_SPREAD, LEAN_SPREAD, max((x_high - x_low) / 4, 0.1), POWER_SPREAD, BEND_SPREAD, 1.5, half + 1.0]
    return Prior(mean=np.array(mean), spread=np.array(spread))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """Draws of the laws' parameters, shape (D, 7), and of each batch size's floor and place."""

    law_DP: Array
    floor_DG: Array
    place_DG: Array
    noise: float

    def draws(self, x_C: Array, group_C: NDArray[np.int64]) -> Array:
        """log(steps) at candidates, shape (D, C): of the mean over trainings."""
        return _valley(self.law_DP, self.floor_DG[:, group_C], self.place_DG[:, group_C], x_C)


def fit_surrogate(seen: Seen, log_batch_G: Array, prior: Prior, rng: np.random.Generator) -> Surrogate:
    """Fit the trials of one kind; without any it is the prior."""
    b_G = log_batch_G - (log_batch_G[0] + log_batch_G[-1]) / 2
    num, known_T = len(b_G), ~seen.bound_T

    def laws(z: Array) -> tuple[Array, Array, Array]:
        law = prior.mean + prior.spread * z[:, :NUM_LAW]
        sizes = np.exp(SIZE_SPREAD * z[:, NUM_LAW + 1 : NUM_LAW + NUM_SIZES])
        departures = z[:, NUM_LAW + NUM_SIZES :]
        floor = law[:, LEVEL, None] + np.logaddexp(0.0, law[:, CRITICAL, None] - b_G)
        floor = floor + FLOOR_DEPARTURE * sizes[:, :1] * departures[:, :num]
        place = law[:, PLACE, None] + law[:, POWER_AT, None] * b_G + law[:, BEND, None] * b_G**2
        return law, floor, place + PLACE_DEPARTURE * sizes[:, 1:] * departures[:, num:]

    def noise(z: Array) -> Array:
        return np.asarray(NOISE * np.exp(SIZE_SPREAD * z[:, NUM_LAW, None]))

    def log_likelihood(z: Array) -> Array:
        law, floor, place = laws(z)
        told = _valley(law, floor[:, seen.group_T], place[:, seen.group_T], seen.x_T)
        width = np.hypot(noise(z), seen.spread_T)
        miss = (seen.y_T - told) / width
        known = -0.5 * (TAIL + 1) * np.log1p(miss[:, known_T] ** 2 / TAIL) - np.log(width[:, known_T])
        return np.asarray(known.sum(axis=1) + log_ndtr(-miss[:, seen.bound_T]).sum(axis=1))

    z = draw_posterior(log_likelihood, NUM_LAW + NUM_SIZES + 2 * num, rng, NUM_DRAWS, NUM_MOVES)
    law, floor, place = laws(z)
    return Surrogate(law_DP=law, floor_DG=floor, place_DG=place, noise=float(np.median(noise(z))))


def _valley(law_DP: Array, floor_DC: Array, place_DC: Array, x_C: Array) -> Array:
    slope, lean = np.exp(law_DP[:, SLOPE_AT, None]), np.exp(law_DP[:, LEAN_AT, None])
    return np.asarray(floor_DC + np.minimum(slope * linex(x_C - place_DC, lean), MAX_RISE))
