"""A fitted function of the batch size, with an interval and a verdict."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Verdict = Literal["ok", "flat", "no-law"]

INTERVAL = (0.05, 0.95)
"""Quantiles of the 90 % interval that every estimate carries."""


def quantile_interval(draws_D: Array) -> tuple[float, float]:
    """The 90 % interval of a number from its draws."""
    low, high = np.quantile(draws_D, INTERVAL)
    return float(low), float(high)


def parameter_medians(draws: Mapping[str, Array]) -> dict[str, float]:
    """The median of each parameter from its draws."""
    return {name: float(np.median(values)) for name, values in draws.items()}


def parameter_intervals(draws: Mapping[str, Array]) -> dict[str, tuple[float, float]]:
    """The 90 % interval of each parameter from its draws."""
    return {name: quantile_interval(values) for name, values in draws.items()}


def law_json(law: Any) -> dict[str, Any]:
    """The form of ``plan --json``, of a ``Law`` or of a ``StepTimeLaw``, which has the same face."""
    return {
        "name": law.name,
        "parameters": dict(law.parameters),
        "interval": {name: list(bounds) for name, bounds in law.interval.items()},
        "fitted_on": dict(law.fitted_on),
        "verdict": law.verdict,
        "reason": law.reason,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Values of a law, arrays of one shape, with the bounds of their 90 % interval."""

    value: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """An average of fitted functions, held as draws of them, and the leading one by name and parameters.

    ``draw_logs(x)`` gives log(y) of every draw, shape ``(num_draws, len(x))``; each draw carries its own misfit, which
    grows beyond the data. A law with the verdict ``no-law`` has no parameters and predicts NaN.
    """

    name: str
    parameters: Mapping[str, float]
    interval: Mapping[str, tuple[float, float]]
    """The 90 % interval of each parameter."""
    draw_logs: Callable[[Array], Array]
    curve_logs: Callable[[Array], Array]
    """The same without misfit: what more measurements elsewhere could teach."""
    misfit: float
    """Standard deviation of a batch size's own misfit, in log."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """The share of each function in the average."""
    fitted_on: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict
    reason: str

    def draws(self, x: ArrayLike) -> Array:
        """The law at ``x`` for every draw, shape ``(num_draws, *x.shape)``."""
        x_array = np.asarray(x, dtype=float)
        return np.exp(self.draw_logs(x_array.reshape(-1))).reshape(-1, *x_array.shape)

    def predict(self, x: ArrayLike) -> Prediction:
        """The law at ``x`` with its 90 % interval; the value is the median of the draws."""
        x_array = np.asarray(x, dtype=float)
        if self.verdict == "no-law":
            nan = np.full(x_array.shape, np.nan)
            return Prediction(value=nan, low=nan, high=nan)
        low, value, high = np.quantile(self.draws(x_array), (INTERVAL[0], 0.5, INTERVAL[1]), axis=0)
        return Prediction(value=value, low=low, high=high)

    def to_json(self) -> dict[str, Any]:
        """The form of ``plan --json``."""
        return {**law_json(self), "weights": dict(self.weights)}


def no_law(name: str, reason: str, fitted_on: Mapping[str, Any]) -> Law:
    """The law that was not found, with the reason in a sentence."""
    return Law(
        name=name,
        parameters={},
        interval={},
        draw_logs=lambda x: np.full((1, len(x)), np.nan),
        curve_logs=lambda x: np.full((1, len(x)), np.nan),
        misfit=math.nan,
        fitted_on=fitted_on,
        verdict="no-law",
        reason=reason,
    )
