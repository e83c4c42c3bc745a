"""A fitted function of the batch size, with an interval and a verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Verdict = Literal["ok", "flat", "no-law"]

INTERVAL = (0.05, 0.95)
"""Quantiles of the 90 % interval that every estimate carries."""


def parameter_intervals(parameters: Mapping[str, float], draws_DP: Array) -> dict[str, tuple[float, float]]:
    """The 90 % interval of each parameter from its bootstrap draws."""
    if not parameters:
        return {}
    low, high = np.quantile(draws_DP, INTERVAL, axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(parameters)}


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
    """``formula(x, parameters)`` with its best parameters and, for the interval, bootstrap draws of them.

    ``draws_DP`` has one row a bootstrap draw and one column a parameter, in the order of ``parameters``. A law with
    the verdict ``no-law`` has no parameters and predicts NaN.
    """

    name: str
    parameters: Mapping[str, float]
    draws_DP: Array
    formula: Callable[[Array, Array], Array]
    fitted_on: Mapping[str, Any] = field(default_factory=dict)
    verdict: Verdict
    reason: str

    @property
    def interval(self) -> dict[str, tuple[float, float]]:
        """The 90 % interval of each parameter."""
        return parameter_intervals(self.parameters, self.draws_DP)

    def draws(self, x: ArrayLike) -> Array:
        """The law at ``x`` for every bootstrap draw, shape ``(num_draws, *x.shape)``."""
        x_array = np.asarray(x, dtype=float)
        return np.stack([self.formula(x_array, row) for row in self.draws_DP])

    def predict(self, x: ArrayLike) -> Prediction:
        """The law at ``x`` with its 90 % interval."""
        x_array = np.asarray(x, dtype=float)
        if self.verdict == "no-law":
            nan = np.full(x_array.shape, np.nan)
            return Prediction(value=nan, low=nan, high=nan)
        low, high = np.quantile(self.draws(x_array), INTERVAL, axis=0)
        value = self.formula(x_array, np.array(list(self.parameters.values())))
        return Prediction(value=value, low=np.minimum(low, value), high=np.maximum(high, value))

    def to_json(self) -> dict[str, Any]:
        """The form of ``plan --json``."""
        return law_json(self)


def no_law(name: str, reason: str, fitted_on: Mapping[str, Any]) -> Law:
    """The law that was not found, with the reason in a sentence."""
    return Law(
        name=name,
        parameters={},
        draws_DP=np.empty((0, 0)),
        formula=lambda x, _: np.full(np.shape(x), np.nan),
        fitted_on=fitted_on,
        verdict="no-law",
        reason=reason,
    )
