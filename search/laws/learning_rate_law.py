"""The best learning rate against the batch size: lr = lr_max / (1 + B_noise / B), or constant.

Reference: Johnson et al. (2020), arXiv 2007.05105 (AdaScale's gain); it is linear below B_noise and saturates above.
An optimum on the edge of the tried rates is a bound: it counts only where the law lies inside of it.
"""

import math

import numpy as np

from largebatch.search.laws.bend import fit_bend
from largebatch.search.laws.choice import MIN_POINTS, akaike, scatter_draws
from largebatch.search.laws.law import Array, Law, no_law
from largebatch.search.laws.valley import Valley

MAX_SCATTER = 1.0
"""A law that misses the best rates by more than this (root mean square, in log) does not describe them."""


def saturating(batch: Array, parameters: Array) -> Array:
    """The best rate at ``batch`` for the parameters lr_max, B_noise, scatter."""
    lr_max, b_noise, scatter = parameters
    return np.asarray(lr_max / (1 + b_noise / batch) * scatter)


def constant(batch: Array, parameters: Array) -> Array:
    """The same rate at every ``batch``, for the parameters lr_max, scatter."""
    return np.full(np.shape(batch), parameters[0] * parameters[1])


def fit_learning_rate_law(valley: Valley, *, rng: np.random.Generator) -> Law:
    """Fit both laws to the valley's places, choose by the corrected Akaike criterion, refit every bootstrap draw."""
    optima = [optimum for optimum in valley.optima if optimum.reached]
    index = np.array([valley.optima.index(optimum) for optimum in optima], dtype=int)
    fitted_on = {
        "global_batch_size": [optimum.global_batch_size for optimum in optima],
        "on_an_edge": [optimum.global_batch_size for optimum in optima if optimum.edge],
        "optimizer": valley.optimizer,
    }
    if len(optima) < MIN_POINTS:
        reason = f"the target was reached at {len(optima)} batch sizes; a law needs {MIN_POINTS}"
        return no_law("saturating", reason, fitted_on)
    batch_K = np.array([float(optimum.global_batch_size) for optimum in optima])
    place_K = np.log([optimum.learning_rate for optimum in optima])
    spread_K = np.log([optimum.learning_rate_high / optimum.learning_rate_low for optimum in optima]) / 3.29
    width_K = np.hypot(spread_K, max(float(np.median(spread_K)), 0.05))
    side_K = np.array([{"low": -1, "high": 1, None: 0}[optimum.edge] for optimum in optima])
    highest, middle = float(place_K.max()), math.sqrt(batch_K[0] * batch_K[-1])
    top, b_noise, misses_K = fit_bend(batch_K, -place_K, width_K, -side_K, level=-highest, middle=middle)
    rms = math.sqrt(float(np.mean(misses_K**2)))
    level = float(np.average(place_K, weights=width_K**-2))
    constant_rms = math.sqrt(float(np.mean((place_K - level) ** 2)))
    draws_DK = np.log(valley.rates_DK[:, index])
    draws_DK = np.where(np.isfinite(draws_DK), draws_DK, place_K)
    is_constant = akaike(constant_rms, len(optima), 1) <= akaike(rms, len(optima), 2)
    if (constant_rms if is_constant else rms) > MAX_SCATTER:
        name, missed = ("constant", constant_rms) if is_constant else ("saturating", rms)
        return no_law(name, f"the better law ({name}) misses the best rates by {100 * missed:.0f} % rms", fitted_on)
    if is_constant:
        draws = np.column_stack(
            [np.exp(draws_DK.mean(axis=1)), scatter_draws(constant_rms, len(optima) - 1, len(draws_DK), rng)]
        )
        return Law(
            name="constant", parameters={"lr_max": math.exp(level), "scatter": 1.0}, draws_DP=draws, formula=constant,
            fitted_on=fitted_on, verdict="flat",
            reason=f"the best rate does not move with the batch size within {100 * constant_rms:.0f} % rms",
        )  # fmt: skip
    refits = []
    for places in draws_DK:
        refit = fit_bend(batch_K, -places, width_K, -side_K, level=top, middle=b_noise)
        refits.append((math.exp(-refit[0]), refit[1]))
    return Law(
        name="saturating", parameters={"lr_max": math.exp(-top), "B_noise": b_noise, "scatter": 1.0},
        draws_DP=np.column_stack([np.array(refits), scatter_draws(rms, len(optima) - 2, len(refits), rng)]),
        formula=saturating, fitted_on=fitted_on, verdict="ok",
        reason=f"the saturating rule fits {len(optima)} batch sizes within {100 * rms:.0f} % rms; "
        f"a constant misses by {100 * constant_rms:.0f} %",
    )  # fmt: skip
