"""Where log(steps) departs from the law, and what other hyper-parameters add: a Gaussian process on the law's misses.

Its kernel is the product of squared exponentials along log(batch size), log(effective rate) and each other range's unit
coordinate, and of a constant for each choice that differs; its size is the likeliest of ``SIZES`` (Rasmussen, Williams
2006, sections 2.2 and 5.4.1).
Notation: T trials, C candidates, E extra hyper-parameters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from largebatch.spaces.domain import Choice, Domain
from largebatch.spaces.recipe import Recipe

Array = NDArray[np.float64]

SIZES = (0.05, 0.1, 0.2, 0.4)
LENGTH, BATCH_LENGTH, RATE_LENGTH, ALIKE = 0.5, math.log(8), 1.0, 0.4
"""Length scales of a unit range, of log(batch size) and log(rate); the correlation of two choices."""
NEAR_BATCH, NEAR_RATE, USUAL_WEIGHT = 0.4, 0.25, 1.0
"""Where mishaps of trainings tell of a recipe: the scales of log(batch size) and log(rate); the weight, in trainings,
of the expectation that none happens."""
TYPICAL = 0.1
"""The size that is the likeliest before any trial, within a factor of e."""


@dataclass(frozen=True, slots=True)
class Departures:
    """Departures at candidates: weighted sums of the misses of trials, and their standard deviation."""

    weight_CT: Array
    spread_C: Array


def coordinates(recipes: Sequence[Recipe], extras: dict[str, Domain]) -> Array:
    """Shape (T, 2 + E): logs of batch size and rate, and each extra's unit coordinate, its middle where it is not."""
    rows = []
    for recipe in recipes:
        row = [math.log(recipe.global_batch_size), math.log(recipe.effective_learning_rate)]
        for name, domain in extras.items():
            exists = all(getattr(recipe, parent, None) in allowed for parent, allowed in (domain.when or {}).items())
            value = getattr(recipe, name, None)
            row.append(domain.to_unit(value) if exists and value is not None and domain.contains(value) else 0.5)
        rows.append(row)
    return np.array(rows, dtype=float).reshape(len(recipes), 2 + len(extras))


def fit_departures(at_T: Array, miss_T: Array, noise_T: Array, at_C: Array, extras: dict[str, Domain]) -> Departures:
    """Condition on the misses (log steps less the law's) of trials at ``at_T``."""
    if not len(miss_T):
        return Departures(np.zeros((len(at_C), 0)), np.full(len(at_C), TYPICAL))
    alike_TT, alike_CT = _alike(at_T, at_T, extras), _alike(at_C, at_T, extras)
    best, size_of_best, root_of_best = -math.inf, SIZES[0], alike_TT
    for size in SIZES:
        root: Array = np.asarray(np.linalg.cholesky(size**2 * alike_TT + np.diag(noise_T**2)), dtype=float)
        fit = -0.5 * float(np.sum(np.linalg.solve(root, miss_T) ** 2)) - float(np.log(np.diag(root)).sum())
        fit -= 0.5 * math.log(size / TYPICAL) ** 2
        if fit > best:
            best, size_of_best, root_of_best = fit, size, root
    shared_CT = size_of_best**2 * alike_CT
    weight_CT = cho_solve((root_of_best, True), shared_CT.T).T
    variance_C = size_of_best**2 - np.einsum("ct,ct->c", shared_CT, weight_CT)
    return Departures(np.asarray(weight_CT), np.sqrt(np.maximum(variance_C, 0.0)))


def mishaps(at_T: Array, excess_T: Array, at_C: Array, extras: dict[str, Domain]) -> Array:
    """What trainings near each candidate took in log beyond what is usual there, on average over all of them.

    Of the law and its departures the noise is symmetric, a training that goes wrong is an outlier. But a recipe with
    which one training in three goes wrong takes longer on average, and is not the one to plan with.
    """
    near_CT = _alike(at_C, at_T, extras, NEAR_BATCH, NEAR_RATE)
    return np.asarray(near_CT @ excess_T / (near_CT.sum(axis=1) + USUAL_WEIGHT))


def _alike(
    first: Array, second: Array, extras: dict[str, Domain], batch: float = BATCH_LENGTH, rate: float = RATE_LENGTH
) -> Array:
    logs = -0.5 * ((first[:, None, 0] - second[None, :, 0]) / batch) ** 2
    logs = logs - 0.5 * ((first[:, None, 1] - second[None, :, 1]) / rate) ** 2
    for column, domain in enumerate(extras.values(), start=2):
        apart = first[:, None, column] - second[None, :, column]
        if isinstance(domain, Choice):
            logs = logs + np.where(np.abs(apart) > 1e-9, math.log(ALIKE), 0.0)
        else:
            logs = logs - 0.5 * (apart / LENGTH) ** 2
    return np.asarray(np.exp(logs))
