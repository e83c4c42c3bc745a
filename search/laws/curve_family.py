"""A family of curves fitted to the same points, and their average by leave-one-out predictive density.

log y = level + curve(log B; z) + misfit. The misfit of a batch size is normal with a standard deviation that is fitted
too; beyond the data it grows by ``DRIFT`` for each factor e of batch size, for what bends later cannot be seen yet.
Bounds enter by the probability that the curve lies on their right side (Tobin 1958, Econometrica 26:24).
Average: pseudo-BMA+ weights of Yao et al. (2018), Bayesian Analysis 13:917, from importance-sampled leave-one-out
densities with truncated weights (Ionides 2008, J. Comput. Graph. Stat. 17:295).
Leader, for its name and parameters: the simplest curve that is not worse than the best by two standard errors.
Notation: D draws, P coordinates of a curve, K points, L curves.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_ndtr, logsumexp

from largebatch.search.laws.batch_size.points import AT_LEAST, Points
from largebatch.search.laws.law import Array, Law, Verdict, parameter_intervals, parameter_medians
from largebatch.search.laws.smc import NUM_DRAWS, draw_posterior

MISFIT_SPREAD = 1.0
"""Prior of the misfit: the standard deviation of its logarithm."""
DRIFT = 0.15
TAIL = 10
"""Degrees of freedom of Student's t, from which a prediction's misfit is drawn: some batch sizes miss by more."""
BEND_SPREAD = 2.0
"""How far beyond the measured batch sizes, in log, the prior of a bend reaches in a standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """The prior of the logarithm of the batch size at which a curve bends: its mean and standard deviation."""

    middle: float
    spread: float

    def log_batch(self, coordinate_D: Array) -> Array:
        """Where the curve of each draw bends."""
        return self.middle + self.spread * coordinate_D


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One function. ``log_value(z_DP, log_batch_K, bend)`` has shape (D, K); ``parameters`` tells z in plain numbers.

    ``parameters(z_DP, log_level_D, bend)`` maps names to draws, where log y = log_level + log_value.
    """

    name: str
    num_coordinates: int
    log_value: Callable[[Array, Array, Bend], Array]
    parameters: Callable[[Array, Array, Bend], dict[str, Array]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedCurve:
    """The posterior of one curve: its coordinates, level and misfit, and the density of each point left out."""

    curve: Curve
    bend: Bend
    z_DP: Array
    log_level_D: Array
    misfit_D: Array
    left_out_K: Array

    def log_value(self, log_batch: Array) -> Array:
        """The curve of every draw, without misfit."""
        return self.log_level_D[:, None] + self.curve.log_value(self.z_DP, log_batch, self.bend)

    def parameters(self) -> dict[str, Array]:
        """Draws of the parameters by name."""
        return self.curve.parameters(self.z_DP, self.log_level_D, self.bend)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedFamily:
    """All curves, a constant first, then the simplest first, with the share of each in the average."""

    curves: tuple[FittedCurve, ...]
    weights: Mapping[str, float]
    leader: FittedCurve
    """Of those that depend on the batch size."""
    draw_logs: Callable[[Array], Array]
    """log(y) of the average at batch sizes, with misfit: shape (num_draws, len(batch))."""
    curve_logs: Callable[[Array], Array]
    """The same without the misfit of single batch sizes, but with the drift beyond the data."""
    smooth_logs: Callable[[Array], Array]
    """The same with neither."""

    @property
    def misfit(self) -> float:
        """The leader's, at the median."""
        return float(np.median(self.leader.misfit_D))

    @property
    def shares(self) -> str:
        """What predictions average, in words."""
        averaged = sorted(self.weights.items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {100 * weight:.0f} %" for name, weight in averaged if weight >= 0.05)

    def law(
        self, name: str, draws: Mapping[str, Array], *, verdict: Verdict, reason: str, fitted_on: Mapping[str, Any]
    ) -> Law:
        """The average as a law, told by the name and the parameters' draws of one of its curves."""
        return Law(
            name=name, parameters=parameter_medians(draws), interval=parameter_intervals(draws),
            draw_logs=self.draw_logs, curve_logs=self.curve_logs, misfit=self.misfit, weights=self.weights,
            fitted_on=fitted_on, verdict=verdict, reason=reason,
        )  # fmt: skip


def fit_family(
    curves: Sequence[Curve], points: Points, *, misfit: float, rng: np.random.Generator, bend: Bend | None = None
) -> FittedFamily:
    """Fit every curve, a constant first and then the simplest first.

    ``misfit`` is the prior median of the curves' misfit; ``bend`` replaces the prior that spans the data and beyond.
    """
    low, high = points.span
    known = bend or Bend(middle=(low + high) / 2, spread=(high - low) / 2 + BEND_SPREAD)
    fitted = tuple(_fit(curve, points, known, misfit, rng) for curve in curves)
    weights = _weights(np.stack([fit.left_out_K for fit in fitted]), rng)
    parts = []
    counts = np.diff(np.rint(NUM_DRAWS * np.cumsum(np.append(0.0, weights)))).astype(int)
    for fit, count in zip(fitted, counts, strict=True):
        share = rng.choice(NUM_DRAWS, count, replace=False)
        parts.append((fit, share))
    misfit_D = np.concatenate([fit.misfit_D[share] for fit, share in parts])
    tail_D = misfit_D * rng.standard_t(TAIL, len(misfit_D))
    drift_D = DRIFT * rng.standard_normal(len(misfit_D))

    def smooth_logs(batch: Array) -> Array:
        log_batch = np.log(batch)
        return np.vstack([fit.log_value(log_batch)[share] for fit, share in parts])

    def curve_logs(batch: Array) -> Array:
        log_batch = np.log(batch)
        beyond = np.maximum(np.maximum(low - log_batch, log_batch - high), 0.0)
        return smooth_logs(batch) + drift_D[:, None] * beyond

    def draw_logs(batch: Array) -> Array:
        return curve_logs(batch) + tail_D[:, None]

    return FittedFamily(
        curves=fitted,
        weights={fit.curve.name: float(weight) for fit, weight in zip(fitted, weights, strict=True)},
        leader=_leader(fitted[1:]),
        draw_logs=draw_logs,
        curve_logs=curve_logs,
        smooth_logs=smooth_logs,
    )


def _fit(curve: Curve, points: Points, bend: Bend, misfit: float, rng: np.random.Generator) -> FittedCurve:
    log_batch, known = np.log(points.batch_K), points.known
    centre, num = float(points.log_K[known].mean()), curve.num_coordinates
    sign = np.where(points.side_K == AT_LEAST, 1.0, -1.0)

    def level(z: Array, values: Array) -> Array:
        return np.asarray(centre + z[:, num] - values[:, known].mean(axis=1))

    def misfits(z: Array) -> Array:
        return np.asarray(misfit * np.exp(MISFIT_SPREAD * z[:, num + 1]))

    def densities(z: Array) -> Array:
        values = curve.log_value(z, log_batch, bend)
        width = np.hypot(points.width_K, misfits(z)[:, None])
        miss = (points.log_K - level(z, values)[:, None] - values) / width
        if known.all():
            return -0.5 * miss**2 - np.log(width)
        return np.where(known, -0.5 * miss**2 - np.log(width), log_ndtr(-sign * miss))

    z = draw_posterior(lambda draws: densities(draws).sum(axis=1), num + 2, rng)
    density = densities(z)
    return FittedCurve(
        curve=curve, bend=bend, z_DP=z[:, :num], log_level_D=level(z, curve.log_value(z, log_batch, bend)),
        misfit_D=misfits(z), left_out_K=_left_out(density),
    )  # fmt: skip


def _left_out(density_DK: Array) -> Array:
    """Log density of each point from the draws of the others: draws weighted by 1 / density, large weights cut."""
    log_weight = -density_DK
    cut = logsumexp(log_weight, axis=0) - 0.5 * math.log(len(density_DK))
    log_weight = np.minimum(log_weight, cut)
    return np.asarray(logsumexp(log_weight + density_DK, axis=0) - logsumexp(log_weight, axis=0))


def _weights(left_out_LK: Array, rng: np.random.Generator) -> Array:
    """Pseudo-BMA+: shares by total density, averaged over Bayesian bootstraps of the points."""
    num_points = left_out_LK.shape[1]
    totals = left_out_LK @ (num_points * rng.dirichlet(np.ones(num_points), 500)).T
    return np.asarray(np.exp(totals - logsumexp(totals, axis=0)).mean(axis=1))


def _leader(fitted: Sequence[FittedCurve]) -> FittedCurve:
    best = max(fitted, key=lambda fit: fit.left_out_K.sum())

    def is_worse(fit: FittedCurve) -> bool:
        lost = best.left_out_K - fit.left_out_K
        return len(lost) > 1 and bool(lost.sum() > 2 * lost.std(ddof=1) * math.sqrt(len(lost)))

    return next(fit for fit in fitted if not is_worse(fit))
