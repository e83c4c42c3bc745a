"""The best learning rate against the batch size B: an average of rules, chosen as the laws of steps are.

| rule | lr(B) | source |
|---|---|---|
| constant | lr_max | |
| power | lr_one B^p | p = 1 linear, p = 1/2 square root (Goyal 2017, arXiv 1706.02677; Malladi 2022, 2205.10287) |
| saturating | lr_max / (1 + B_noise/B) | AdaScale's gain, Johnson et al. (2020), arXiv 2007.05105 |
| saturating power | lr_max / (1 + (B_noise/B)^p) | the same with another slope below B_noise |
| surge | 2 lr_max / (sqrt(B_noise/B) + sqrt(B/B_noise)) | Li et al. (2024), arXiv 2405.14578, for Adam |

An optimum on the edge of the tried rates is a bound: it counts only where a rule lies inside of it.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from largebatch.search.laws.batch_size.points import MIN_POINTS, Points
from largebatch.search.laws.curve_family import Bend, Curve, fit_family
from largebatch.search.laws.law import Array, Law, Verdict, no_law, quantile_interval

MISFIT = 0.15
"""Prior median of the misfit of a rule at a batch size (standard deviation in log)."""
MAX_MISFIT = 1.0
"""A family that misses the best rates by more than this does not describe them."""


def _power(z: Array) -> Array:
    return 0.6 + 0.4 * z[:, 0:1]


def _slope(z: Array) -> Array:
    return np.exp(-0.3 + 0.3 * z[:, 1:2])


def _beyond(z: Array, log_batch: Array, bend: Bend) -> Array:
    """log(B_noise / B)."""
    return np.asarray(bend.log_batch(z[:, :1]) - log_batch)


def _saturating(z: Array, log_batch: Array, bend: Bend) -> Array:
    return np.asarray(-np.logaddexp(0.0, _beyond(z, log_batch, bend)))


def _saturating_power(z: Array, log_batch: Array, bend: Bend) -> Array:
    return np.asarray(-np.logaddexp(0.0, _slope(z) * _beyond(z, log_batch, bend)))


def _surge(z: Array, log_batch: Array, bend: Bend) -> Array:
    return np.asarray(-np.log(np.cosh(np.clip(0.5 * _beyond(z, log_batch, bend), -300, 300))))


def _parameters(z: Array, level: Array, bend: Bend) -> dict[str, Array]:
    return {"lr_max": np.exp(level), "B_noise": np.exp(bend.log_batch(z[:, 0]))}


CURVES = (
    Curve(
        name="constant", num_coordinates=0, log_value=lambda z, log_batch, _: np.zeros((len(z), len(log_batch))),
        parameters=lambda _, level, __: {"lr_max": np.exp(level)},
    ),
    Curve(name="saturating", num_coordinates=1, log_value=_saturating, parameters=_parameters),
    Curve(
        name="power", num_coordinates=1, log_value=lambda z, log_batch, _: _power(z) * log_batch,
        parameters=lambda z, level, _: {"lr_one": np.exp(level), "power": _power(z)[:, 0]},
    ),
    Curve(
        name="saturating power", num_coordinates=2, log_value=_saturating_power,
        parameters=lambda z, level, bend: {**_parameters(z, level, bend), "power": _slope(z)[:, 0]},
    ),
    Curve(name="surge", num_coordinates=1, log_value=_surge, parameters=_parameters),
)  # fmt: skip


def fit_learning_rate_law(
    points: Points, *, rng: np.random.Generator, fitted_on: Mapping[str, Any] | None = None
) -> Law:
    """Fit the best rates of K batch sizes."""
    known = points.known
    facts = {
        "global_batch_size": points.batch_K.astype(int).tolist(),
        "on_an_edge": points.batch_K[~known].astype(int).tolist(),
        **(fitted_on or {}),
    }
    if known.sum() < MIN_POINTS:
        edges = f" and lies on the edge of the tried rates at {(~known).sum()}" if not known.all() else ""
        reason = f"the best rate is known at {known.sum()} batch sizes{edges}; a law needs {MIN_POINTS}"
        return no_law("saturating", reason, facts)
    family = fit_family(CURVES, points, misfit=MISFIT, rng=rng)
    misfit = family.misfit
    if misfit > MAX_MISFIT:
        name = family.leader.curve.name
        reason = f"the best of {len(CURVES)} rules ({name}) misses the best rates by {100 * misfit:.0f} %"
        return no_law(name, reason, facts)
    ends = np.exp(np.array(points.span))
    change_D = np.diff(family.smooth_logs(ends), axis=1)[:, 0]
    change, (low, high) = float(np.median(change_D)), quantile_interval(change_D)
    scatter = max(misfit, float(np.median(points.width_K[known])))
    power = f"a power of {change / math.log(ends[1] / ends[0]):.2f} of the batch size on average"
    is_flat = abs(change) < scatter or low < 0 < high
    leader = family.curves[0] if is_flat else family.leader
    draws = leader.parameters()
    reason = (
        f"the best rate does not move with the batch size within its scatter of {100 * scatter:.0f} %"
        if is_flat
        else f"the {leader.curve.name} rule fits {known.sum()} batch sizes to {100 * misfit:.0f} % beyond their own "
        f"scatter ({power}); predictions average {family.shares}"
    )
    verdict: Verdict = "flat" if is_flat else "ok"
    return family.law(leader.curve.name, draws, verdict=verdict, reason=reason, fitted_on=facts)
