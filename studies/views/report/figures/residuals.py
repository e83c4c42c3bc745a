"""What the laws leave: measured over fitted at each batch size, rate or step time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from largebatch.search.laws.batch_size.points import AT_LEAST, AT_MOST, VALUE, Points
from largebatch.search.laws.fit_laws import FittedLaws
from largebatch.search.laws.law import Law, Prediction
from largebatch.search.laws.step_time.timings import timings_of_profile
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.studies.answer.best_trials import format_seconds
from largebatch.studies.answer.trial_text import trial_words, varying_names
from largebatch.studies.views.report.figures.axes import (
    FAINT,
    INK,
    MUTED,
    Figure,
    band,
    figure_layout,
    log_axis,
    plain,
    safe,
)

Array = NDArray[np.float64]
_SIDES = {
    VALUE: ("measured, 90 % interval", "diamond"), AT_LEAST: ("at least so much", "triangle-up"),
    AT_MOST: ("at most so much: on the edge of what was tried", "triangle-down"),
}  # fmt: skip
_HALF_WIDTH = 1.645
"""Of a 90 % interval, in standard deviations."""
_NEAR = (0.5, 0.67, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2)
_FAR = (0.01, 0.03, 0.1, 0.2, 0.33, 0.5, 0.7, 1, 1.4, 2, 3, 5, 10, 30, 100)
_WIDE = 3.0
"""Ratios that span more than this factor get the ticks further apart."""
_LINE_AT_ONE = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": {"color": INK, "width": 1}}
_COLOURS = ("var(--blue)", "var(--vermillion)", "var(--green)", "var(--purple)", "var(--orange)")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x")


def steps_residuals(laws: FittedLaws) -> Figure | None:
    """The batch sizes about the steps law and, faint, the trials about their valley."""
    if laws.steps.verdict == "no-law":
        return None
    known_T, residual_T = laws.found.residuals()
    trials = [trial for trial, known in zip(laws.found.trials, known_T, strict=True) if known]
    names = varying_names(laws.found.trials)
    points: Figure = {
        "type": "scatter", "name": "a trial, about the valley of its batch size", "mode": "markers",
        "x": [trial.recipe.global_batch_size for trial in trials],
        "y": plain(np.exp(residual_T[known_T]).tolist()),
        "customdata": [trial.number for trial in trials], "marker": {"size": 7, "color": FAINT},
        "hovertext": [safe(trial_words(trial, names)).replace("\n", "<br>") for trial in trials],
        "hovertemplate": "%{y:.3g} times the valley's steps<br>%{hovertext}<extra></extra>",
    }  # fmt: skip
    return _about(laws.found.steps, laws.steps, "steps, measured / law", [points])


def rate_residuals(laws: FittedLaws) -> Figure | None:
    """The best rates about their law."""
    if laws.learning_rate.verdict == "no-law":
        return None
    return _about(laws.found.rates, laws.learning_rate, "best rate, measured / law", [])


def _about(points: Points, law: Law, title: str, data: list[Figure]) -> Figure:
    told = law.predict(points.batch_K)
    sizes = points.batch_K.tolist()
    ratio = Prediction(value=told.value / told.value, low=told.low / told.value, high=told.high / told.value)
    data.append(band(sizes, ratio, "90 % interval of the law"))
    value_K = np.exp(points.log_K) / told.value
    for side, (name, symbol) in _SIDES.items():
        at = np.flatnonzero(points.side_K == side)
        if not len(at):
            continue
        factor = np.exp(_HALF_WIDTH * points.width_K[at])
        bars = {
            "type": "data", "symmetric": False, "array": plain((value_K[at] * (factor - 1)).tolist()),
            "arrayminus": plain((value_K[at] * (1 - 1 / factor)).tolist()),
            **{"color": MUTED, "thickness": 1.5, "width": 5},
        }  # fmt: skip
        data.append(
            {
                "type": "scatter", "name": name, "mode": "markers", "x": [sizes[k] for k in at],
                "y": plain(value_K[at].tolist()), "error_y": bars if side == VALUE else {"visible": False},
                "marker": {"symbol": symbol, "size": 11, "color": INK},
                "hovertemplate": "batch %{x}: %{y:.3g} times the law<extra></extra>",
            }
        )  # fmt: skip
    shown = [*value_K.tolist(), *ratio.low.tolist(), *ratio.high.tolist()]
    shown += [value for trace in data if trace["mode"] == "markers" for value in trace["y"]]
    layout = figure_layout(
        xaxis=log_axis(sizes, "global batch size (examples a step)", binary=True),
        yaxis=_ratio_axis(shown, title),
        height=380,
        shapes=[_LINE_AT_ONE],
    )
    return {"data": data, "layout": layout}


def _ratio_axis(ratios: Sequence[float | None], title: str) -> Figure:
    """A log axis about 1, ticks at ratios that people use."""
    axis = log_axis([*ratios, 0.9, 1 / 0.9], title, padding=1.1)
    low, high = axis["range"]
    ticks = [tick for tick in (_FAR if high - low > np.log10(_WIDE) else _NEAR) if low <= np.log10(tick) <= high]
    return {**axis, "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _percent(logs: Array) -> list[float]:
    found: list[float] = (100 * np.expm1(logs)).tolist()
    return found


def step_time_residuals(laws: FittedLaws, profile: StepTimeProfile | None) -> Figure | None:
    """Timed steps over the step-time law, a mark a number of workers."""
    if profile is None or laws.step_seconds is None:
        return None
    timings = timings_of_profile(profile)
    told = laws.step_seconds.predict(timings.num_workers_M, timings.local_batch_M).value
    off = np.array(_percent(timings.log_seconds_M - np.log(told)))
    data: list[Figure] = []
    for index, count in enumerate(sorted(set(timings.num_workers_M.tolist()))):
        at = timings.num_workers_M == count
        seconds: Sequence[float] = np.exp(timings.log_seconds_M[at]).tolist()
        data.append(
            {
                "type": "scatter", "name": f"{count:g} worker{'s' if count != 1 else ''}", "mode": "markers",
                "x": timings.local_batch_M[at].tolist(), "y": plain(off[at].tolist()),
                "marker": {"size": 10, "color": _COLOURS[index % 5], "symbol": _SYMBOLS[index % 5]},
                "text": [format_seconds(one) for one in seconds],
                "hovertemplate": "local batch %{x}: a step took %{text}, %{y:+.1f} % of the law's<extra></extra>",
            }
        )  # fmt: skip
    layout = figure_layout(
        xaxis=log_axis(timings.local_batch_M.tolist(), "local batch size (examples a worker and step)", binary=True),
        yaxis={"title": {"text": "step time, measured over law (%)"}, "zeroline": True, "zerolinecolor": INK},
        height=380,
    )
    return {"data": data, "layout": layout}
