"""Steps to target against the batch size B: an average of laws, chosen by what they say of points left out.

| curve | S(B) | source |
|---|---|---|
| flat | S_min | beyond the knee, Shallue et al. (2019), JMLR 20:112 |
| hyperbola | S_min (1 + B_crit/B) | McCandlish et al. (2018), arXiv 1812.06162, equation 5.4 |
| power law | S_min (1 + (B_crit/B)^p), p <= 1 | a slope less than -1 below the knee, Shallue et al., figure 1 |
| knee | S_min (1 + (B_crit/B)^a)^(1/a) | its sharper or softer form |
| minimum | S_min (1 + B_crit/B + B_crit B_low/B^2 + B/B_high) | examples or steps least in between, 2601.05034 |

A measured gradient noise scale is a prior of B_crit, as loose as ``NOISE_LOOSENESS``: the two agree within a factor of
a few (McCandlish et al., section 5 and figure 6). B_crit depends on the target.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from largebatch.search.laws.batch_size.points import AT_LEAST, AT_MOST, MIN_POINTS, Points
from largebatch.search.laws.curve_family import Bend, Curve, FittedFamily, fit_family
from largebatch.search.laws.law import Array, Law, Verdict, no_law, quantile_interval

MISFIT = 0.02
"""Prior median of the misfit of a law at a batch size (standard deviation in log)."""
MAX_MISFIT = 0.35
"""A family that misses the measured steps by more than this (standard deviation in log) does not describe them."""
NOISE_LOOSENESS = math.log(3)
"""Standard deviation of log(B_crit / B_simple)."""

Unit = Literal["steps", "examples"]


def _bend(z: Array, bend: Bend) -> Array:
    return bend.log_batch(z[:, :1])


def _knee_exponent(z: Array) -> Array:
    return np.exp(0.25 * z[:, 1:2])


def _power(z: Array) -> Array:
    return np.exp(-0.2 * np.abs(z[:, 1:2]))


def _hyperbola(z: Array, log_batch: Array, bend: Bend) -> Array:
    return np.asarray(np.logaddexp(0.0, _bend(z, bend) - log_batch))


def _knee(z: Array, log_batch: Array, bend: Bend) -> Array:
    sharp = _knee_exponent(z)
    return np.asarray(np.logaddexp(0.0, sharp * (_bend(z, bend) - log_batch)) / sharp)


def _power_law(z: Array, log_batch: Array, bend: Bend) -> Array:
    return np.asarray(np.logaddexp(0.0, _power(z) * (_bend(z, bend) - log_batch)))


def _low_high(z: Array, bend: Bend) -> tuple[Array, Array]:
    middle = _bend(z, bend)
    return middle - np.exp(1.5 + 0.7 * z[:, 1:2]), middle + np.exp(2.3 + 0.7 * z[:, 2:3])


def _minimum(z: Array, log_batch: Array, bend: Bend) -> Array:
    low, high = _low_high(z, bend)
    falling = np.logaddexp(0.0, _bend(z, bend) - log_batch)
    steep = _bend(z, bend) + low - 2 * log_batch
    return np.asarray(np.logaddexp(np.logaddexp(falling, steep), log_batch - high))


def _parameters(z: Array, level: Array, bend: Bend) -> dict[str, Array]:
    return {"S_min": np.exp(level), "B_crit": np.exp(_bend(z, bend)[:, 0])}


CURVES = (
    Curve(
        name="flat", num_coordinates=0, log_value=lambda z, log_batch, _: np.zeros((len(z), len(log_batch))),
        parameters=lambda _, level, __: {"S_min": np.exp(level)},
    ),
    Curve(name="hyperbola", num_coordinates=1, log_value=_hyperbola, parameters=_parameters),
    Curve(
        name="power law", num_coordinates=2, log_value=_power_law,
        parameters=lambda z, level, bend: {**_parameters(z, level, bend), "power": _power(z)[:, 0]},
    ),
    Curve(
        name="knee", num_coordinates=2, log_value=_knee,
        parameters=lambda z, level, bend: {**_parameters(z, level, bend), "sharpness": _knee_exponent(z)[:, 0]},
    ),
    Curve(
        name="minimum", num_coordinates=3, log_value=_minimum,
        parameters=lambda z, level, bend: {
            **_parameters(z, level, bend),
            "B_low": np.exp(_low_high(z, bend)[0][:, 0]), "B_high": np.exp(_low_high(z, bend)[1][:, 0]),
        },
    ),
)  # fmt: skip


def fit_steps_law(
    points: Points,
    *,
    rng: np.random.Generator,
    unit: Unit = "steps",
    noise_scale: float | None = None,
    min_points: int = MIN_POINTS,
    fitted_on: Mapping[str, Any] | None = None,
) -> Law:
    """Fit steps to target, whose law predicts steps whatever ``unit`` the points were told in.

    ``unit`` says what the user looks at: the verdict ``flat`` means that this does not depend on the batch size, and
    the scale of the law is told as ``S_min`` or as ``E_min = S_min B_crit``. With fewer than ``min_points`` known batch
    sizes there is no law; with fewer than ``MIN_POINTS`` its intervals are mostly those of the priors.
    """
    facts = {
        "global_batch_size": points.batch_K[points.known].astype(int).tolist(),
        "lower_bounds": points.batch_K[points.side_K == AT_LEAST].astype(int).tolist(),
        "upper_bounds": points.batch_K[points.side_K == AT_MOST].astype(int).tolist(),
        "evaluation_shares": [round(share, 3) for share in points.evaluation_shares[points.known].tolist()],
        **(fitted_on or {}),
    }
    if noise_scale is not None:
        facts["noise_scale"] = noise_scale
    num_known = int(points.known.sum())
    if num_known < min_points:
        known = f"{unit} to target are known at {_sizes(num_known)}; a law needs {min_points}"
        reason = f"{known}: only what was measured can be answered for{points.evaluation_words}"
        return no_law("hyperbola", reason, facts)
    bend = None if noise_scale is None else Bend(middle=math.log(noise_scale), spread=NOISE_LOOSENESS)
    family = fit_family(CURVES, points, misfit=MISFIT, rng=rng, bend=bend)
    misfit = family.misfit
    if misfit > MAX_MISFIT:
        name = family.leader.curve.name
        reason = f"the best of {len(CURVES)} laws ({name}) misses the measured {unit} by {_percent(misfit)}"
        unsaid = "nothing can be said of batch sizes that were not measured"
        return no_law(name, f"{reason}; {unsaid}{points.evaluation_words}", facts)
    change, told = _change(family, points, unit)
    scatter = max(points.noise, misfit)
    is_flat = abs(change) < scatter
    leader = family.curves[0] if is_flat and unit == "steps" else family.leader
    draws = leader.parameters()
    if unit == "examples":
        draws = {"E_min": draws.pop("S_min") * draws["B_crit"], **draws}
    if is_flat:
        reason = (
            f"over the measured batch sizes {unit} to target change by {told}, less than the scatter of "
            f"{_percent(scatter)}: no dependence on the batch size is seen"
        )
    else:
        reason = (
            f"the {leader.curve.name} fits {_sizes(num_known)} to {_percent(misfit)} beyond their own scatter; "
            f"predictions average {family.shares}"
        )
    reason += points.evaluation_words
    verdict: Verdict = "flat" if is_flat else "ok"
    return family.law(leader.curve.name, draws, verdict=verdict, reason=reason, fitted_on=facts)


def _change(family: FittedFamily, points: Points, unit: Unit) -> tuple[float, str]:
    """The change, in log, from the smallest to the largest measured batch size, and the same in words."""
    ends = np.exp(np.array(points.span))
    change_D = np.diff(family.smooth_logs(ends), axis=1)[:, 0]
    if unit == "examples":
        change_D = change_D + math.log(ends[1] / ends[0])
    low, high = quantile_interval(change_D)
    change = float(np.median(change_D))
    return change, f"{_percent(math.expm1(change))} ({_percent(math.expm1(low))} to {_percent(math.expm1(high))})"


def _sizes(number: int) -> str:
    return f"{number} batch size" if number == 1 else f"{number} batch sizes"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
