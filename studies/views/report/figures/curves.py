"""Training curves: the target's metric while training, one line a trial."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from largebatch.search.plan.finalists import best_trials
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement, Trial
from largebatch.studies.answer.trial_text import drawn, spread, trial_words, varying_names
from largebatch.studies.views.report.figures.axes import (
    INK,
    Figure,
    figure_layout,
    level,
    log_axis,
    plain,
    positive,
    safe,
)

MAX_CURVES = 120
"""More lines than this hide one another, and would make the page slow."""
_MAX_POINTS = 80
_WIDE = 30.0
"""A positive metric that spans more than this factor gets a log axis."""


def curves_figure(
    target: Target, trials: Sequence[Trial], curves: Mapping[int, Sequence[Measurement]]
) -> Figure | None:
    """One line a trial, coloured by batch size, the best trial of each size thick; None where there is no curve."""
    measured = {number: _measured(target, curve) for number, curve in curves.items()}
    best = {trial.number for trial in best_trials(trials).values()}
    shown = [trial for trial in trials if len(measured.get(trial.number, ())) > 1]
    shown = drawn(shown, MAX_CURVES, lambda trial: trial.number in best)
    if not shown:
        return None
    # The thick lines last, so that they lie on top.
    shown.sort(key=lambda trial: (trial.number in best, trial.recipe.global_batch_size))
    points = [spread(measured[trial.number], _MAX_POINTS) for trial in shown]
    sizes = sorted({trial.recipe.global_batch_size for trial in shown})
    colours = {size: level(index / max(1, len(sizes) - 1)) for index, size in enumerate(sizes)}
    names = varying_names(trials)
    data = [
        _line(target, trial, curve, colours, safe(trial_words(trial, names)), trial.number in best)
        for trial, curve in zip(shown, points, strict=True)
    ]
    data += [_legend_line(size, colour) for size, colour in colours.items()]
    return {"data": data, "layout": _layout(target, points), "switch": _switch(points)}


def _measured(target: Target, curve: Sequence[Measurement]) -> list[Measurement]:
    return [point for point in curve if math.isfinite(point.values.get(target.metric, math.nan))]


def _line(
    target: Target, trial: Trial, curve: Sequence[Measurement], colours: Mapping[int, str], words: str, is_best: bool
) -> Figure:
    size = trial.recipe.global_batch_size
    return {
        "type": "scatter",
        "name": f"trial {trial.number}",
        "mode": "lines",
        "x": [point.examples for point in curve],
        "y": plain(point.values[target.metric] for point in curve),
        "line": {"color": colours[size], "width": 3 if is_best else 1},
        "opacity": 1.0 if is_best else 0.5,
        "legendgroup": f"batch {size}",
        "showlegend": False,
        "hovertext": words.replace("\n", "<br>"),
        "meta": safe(target.metric),
        "hovertemplate": "%{meta} %{y:.4g} at %{x:,.4~g}<br>%{hovertext}<extra></extra>",
    }


def _legend_line(size: int, colour: str) -> Figure:
    name = f"batch {size}"
    line = {"type": "scatter", "mode": "lines", "x": [None], "y": [None], "line": {"color": colour, "width": 3}}
    return {**line, "name": name, "legendgroup": name}


def _switch(points: Sequence[Sequence[Measurement]]) -> list[Figure]:
    """The x axes that the buttons of the page offer, each with the x values of every line."""
    steps = [[point.step or None for point in curve] for curve in points]
    choices: list[tuple[str, Sequence[Sequence[float | None]], Figure]] = [
        ("examples", [[point.examples for point in curve] for curve in points], _linear("examples trained")),
        ("steps", steps, log_axis([x for line in steps for x in line], "steps (optimizer updates)", padding=1.1)),
        ("seconds", [plain(point.seconds for point in curve) for curve in points], _linear("seconds of training")),
    ]
    return [{"name": name, "axis": {**axis, "automargin": True}, "x": x} for name, x, axis in choices]


def _linear(title: str) -> Figure:
    return {"title": {"text": title}, "type": "linear", "rangemode": "tozero"}


def _layout(target: Target, points: Sequence[Sequence[Measurement]]) -> Figure:
    """The metric's axis shows what is near the target; a diverging trial may leave the picture."""
    values = np.array([point.values[target.metric] for curve in points for point in curve])
    low, high = np.quantile(values, [0.0, 0.99] if target.below is not None else [0.01, 1.0]).tolist()
    low, high = min(low, target.bound), max(high, target.bound)
    title = safe(target.metric)
    is_log = target.below is not None and low > 0 and high / low > _WIDE
    # Room for the target's name beyond its line, where no curve goes on.
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    yaxis: Figure = {"title": {"text": title}, "range": [low - margin, high + margin]}
    if is_log:
        yaxis = log_axis(positive([low / 1.5, high]), title)
    bound = math.log10(target.bound) if is_log else target.bound
    return figure_layout(
        xaxis=_linear("examples trained"),
        yaxis=yaxis,
        height=480,
        legend={**figure_layout()["legend"], "itemsizing": "constant"},
        shapes=[
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": target.bound, "y1": target.bound}
            | {"line": {"color": INK, "width": 1.5, "dash": "dot"}}
        ],
        annotations=[
            {"text": f"target: {safe(target)}", "xref": "paper", "x": 1, "xanchor": "right", "y": bound}
            | {"yanchor": "bottom" if target.above is not None else "top", "showarrow": False}
            | {"bgcolor": "var(--paper)", "borderpad": 1, "yshift": 3 if target.above is not None else -3}
        ],
    )
