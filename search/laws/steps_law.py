"""Steps to target against the batch size: S = S_min (1 + B_crit / B), or no dependence at all.

Reference: McCandlish et al. (2018), arXiv 1812.06162, equation 5.4. B_crit depends on the target. Batch sizes where no
trial reached the target enter as lower bounds.
"""

import math
from collections.abc import Sequence

import numpy as np

from largebatch.search.laws.bend import fit_bend
from largebatch.search.laws.choice import MIN_POINTS, akaike, scatter_draws
from largebatch.search.laws.law import Array, Law, no_law
from largebatch.search.laws.valley import BatchOptimum, Valley

MAX_SCATTER = 0.5
"""A law that misses the measured floors by more than this (root mean square, in log) does not describe them."""


def hyperbola(batch: Array, parameters: Array) -> Array:
    """Steps at ``batch`` for the parameters S_min, B_crit, scatter."""
    s_min, b_crit, scatter = parameters
    return np.asarray(s_min * (1 + b_crit / batch) * scatter)


def flat(batch: Array, parameters: Array) -> Array:
    """The same steps at every ``batch``, for the parameters S_min, scatter."""
    return np.full(np.shape(batch), parameters[0] * parameters[1])


def fit_steps_law(valley: Valley, *, rng: np.random.Generator) -> Law:
    """Fit both laws to the valley's floors, choose by the corrected Akaike criterion, and refit every bootstrap draw.

    The parameter ``scatter`` is 1; its draws carry the misfit of the law, so that the interval of a prediction holds
    what the law leaves out as well as what the parameters leave open.
    """
    optima = valley.optima
    batch_K = np.array([float(optimum.global_batch_size) for optimum in optima])
    reached_K = np.array([optimum.reached for optimum in optima])
    fitted_on = {
        "global_batch_size": [optimum.global_batch_size for optimum in optima if optimum.reached],
        "lower_bounds": [optimum.global_batch_size for optimum in optima if not optimum.reached],
        "num_trials": sum(optimum.num_trials for optimum in optima),
        "num_reached": sum(optimum.num_reached for optimum in optima),
    }
    if reached_K.sum() < MIN_POINTS:
        reason = f"the target was reached at {reached_K.sum()} batch sizes; a law needs {MIN_POINTS}"
        return no_law("hyperbola", reason, fitted_on)
    floor_K = np.log([optimum.steps for optimum in optima])
    width_K = _widths(optima, reached_K)
    lowest, middle = float(floor_K[reached_K].min()) + math.log(0.8), math.sqrt(batch_K[0] * batch_K[-1])
    side_K = np.where(reached_K, 0, 1)
    bottom, b_crit, misses_K = fit_bend(batch_K, floor_K, width_K, side_K, level=lowest, middle=middle)
    rms = math.sqrt(float(np.mean(misses_K[reached_K] ** 2)))
    level = float(np.average(floor_K[reached_K], weights=width_K[reached_K] ** -2))
    flat_rms = math.sqrt(float(np.mean((floor_K[reached_K] - level) ** 2)))
    is_flat = akaike(flat_rms, reached_K.sum(), 1) <= akaike(rms, reached_K.sum(), 2)
    if (flat_rms if is_flat else rms) > MAX_SCATTER:
        name, miss = ("flat", flat_rms) if is_flat else ("hyperbola", rms)
        return no_law(name, f"the better law ({name}) misses the measured steps by {100 * miss:.0f} % rms", fitted_on)
    if is_flat:
        levels_D = np.nanmean(np.log(valley.steps_DK[:, reached_K]), axis=1)
        scatter_D = scatter_draws(flat_rms, reached_K.sum() - 1, len(levels_D), rng)
        reason = f"steps do not depend on the batch size within their scatter ({100 * flat_rms:.0f} % rms)"
        draws = np.stack([np.exp(levels_D), scatter_D], axis=1)
        return Law(
            name="flat", parameters={"S_min": math.exp(level), "scatter": 1.0}, draws_DP=draws, formula=flat,
            fitted_on=fitted_on, verdict="flat", reason=reason,
        )  # fmt: skip
    refits = []
    for floors in valley.steps_DK:
        known = reached_K & np.isfinite(floors)
        values = np.where(known, np.log(np.where(known, floors, 1.0)), floor_K)
        refit = fit_bend(batch_K, values, width_K, side_K, level=bottom, middle=b_crit)
        refits.append((math.exp(refit[0]), refit[1]))
    scatter_D = scatter_draws(rms, reached_K.sum() - 2, len(refits), rng)
    reason = (
        f"the hyperbola fits {reached_K.sum()} batch sizes within {100 * rms:.0f} % rms; "
        f"flat misses by {100 * flat_rms:.0f} %"
    )
    return Law(
        name="hyperbola", parameters={"S_min": math.exp(bottom), "B_crit": b_crit, "scatter": 1.0},
        draws_DP=np.column_stack([np.array(refits), scatter_D]), formula=hyperbola,
        fitted_on=fitted_on, verdict="ok", reason=reason,
    )  # fmt: skip


def _widths(optima: Sequence[BatchOptimum], reached_K: np.ndarray) -> Array:
    """Standard deviations of the floors in log, none so small that one batch size rules the fit."""
    widths = np.ones(len(optima))
    for index in np.flatnonzero(reached_K):
        optimum = optima[int(index)]
        widths[index] = math.log(optimum.steps_high / optimum.steps_low) / (2 * 1.645)
    typical = float(np.median(widths[reached_K]))
    return np.hypot(widths, max(typical, 0.02))
