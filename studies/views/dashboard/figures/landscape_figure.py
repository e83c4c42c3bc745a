"""Every trial in any two dimensions of its recipe, coloured by what it took to the target; the ridge and the valley.

Over learning rate and batch size, the fitted valley lies behind the trials: log(steps) at every rate, and the ridge of
the best rates through it. An invisible layer over the searched plane tells where a click was, trial or not.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from largebatch.search.laws.fit_laws import FittedLaws
from largebatch.search.plan.finalists import best_trials
from largebatch.spaces.domain import Range
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import format_seconds
from largebatch.studies.answer.trial_text import MARKS, drawn, outcome, trial_words
from largebatch.studies.views.dashboard.figures.dimension_axis import dimension_axis, positions
from largebatch.studies.views.report.figures.axes import (
    COLOUR_SCALE,
    INK,
    Figure,
    figure_layout,
    law_traces,
    log_colour_bar,
    measured_range,
    plain,
    positive,
    safe,
    tick_label,
)
from largebatch.studies.views.report.figures.optima_traces import rate_optima
from largebatch.studies.views.report.figures.valley import valley_traces

PLANE = ("global_batch_size", "learning_rate")
MAX_POINTS, FEW = 4000, 800
"""Trials drawn at most, and up to how many as SVG rather than by WebGL."""
NUM_RATES = 60

COLOURS: Mapping[str, tuple[str, Callable[[Trial], float | None]]] = {
    "steps": ("steps to target", lambda trial: trial.steps_to_target),
    "examples": ("examples to target", lambda trial: trial.examples_to_target),
    "seconds": ("seconds to target", lambda trial: (trial.steps_to_target or math.nan) * trial.step_seconds),
}
"""What a trial took: title and value, None or NaN where the target was not reached."""


def landscape_figure(
    trials: Sequence[Trial], laws: FittedLaws | None, space: Space, *,
    x: str, y: str, colour: str, names: Sequence[str],
) -> Figure:  # fmt: skip
    """The landscape over the dimensions ``x`` and ``y``; ``names`` are told under the pointer."""
    best = {trial.number for trial in best_trials(trials).values()}
    shown = drawn(trials, MAX_POINTS, lambda trial: trial.number in best)
    columns = {name: [getattr(trial.recipe, name, None) for trial in shown] for name in (x, y)}
    axes = {name: dimension_axis(name, space.root.get(name), column) for name, column in columns.items()}
    data = [_clickable(space)] if (x, y) == PLANE else []
    if (x, y) == PLANE and laws is not None:
        steps = positive(trial.steps_to_target for trial in laws.found.trials)
        data += valley_traces(laws, (min(steps), max(steps))) if colour == "steps" and steps else []
        sizes = [trial.recipe.global_batch_size for trial in trials]
        measured = [optimum.global_batch_size for optimum in laws.optima if positive([optimum.learning_rate])]
        if sizes and min(sizes) < max(sizes):
            span = (min(sizes), max(sizes))
            data += law_traces(laws.learning_rate, span, measured_range(measured, sizes), "learning rate")
    kind = "scatter" if len(shown) <= FEW else "scattergl"
    for name in MARKS:
        missed = [trial for trial in shown if not trial.reached and outcome(trial) is name]
        data += _unreached(missed, kind, axes, x, y, names)
    data += _reached([trial for trial in shown if trial.reached], kind, axes, x, y, colour, names)
    if (x, y) == PLANE and laws is not None:
        data += rate_optima(laws.optima)
    layout = figure_layout(xaxis=axes[x], yaxis=axes[y], height=600)
    return {"data": data, "layout": layout}


def _clickable(space: Space) -> Figure:
    """Cells over the whole searched plane that are not seen, but that answer a click."""
    rates = space.root["learning_rate"]
    found = [float(value) for value in rates.grid(NUM_RATES)] if isinstance(rates, Range) else []
    sizes = list(space.batch_sizes)
    return {
        "type": "heatmap", "name": "plane", "x": sizes, "y": plain(found), "z": [[0] * len(sizes)] * len(found),
        "opacity": 0, "showscale": False, "hoverinfo": "none", "meta": "plane",
    }  # fmt: skip


def _points(
    trials: Sequence[Trial], kind: str, axes: Mapping[str, Figure], x: str, y: str, names: Sequence[str]
) -> Figure:
    return {
        "type": kind,
        "mode": "markers",
        "x": positions(axes[x], [getattr(trial.recipe, x, None) for trial in trials]),
        "y": positions(axes[y], [getattr(trial.recipe, y, None) for trial in trials]),
        "customdata": [trial.number for trial in trials],
        "texts": {trial.number: safe(trial_words(trial, names)).replace("\n", "<br>") for trial in trials},
        "hoverinfo": "text",
    }


def _unreached(
    trials: Sequence[Trial], kind: str, axes: Mapping[str, Figure], x: str, y: str, names: Sequence[str]
) -> list[Figure]:
    if not trials:
        return []
    mark = MARKS[outcome(trials[0])]
    size = 9 if kind == "scatter" else 6
    marker = {"symbol": mark.symbol, "size": size, "color": mark.colour, "line": {"color": mark.colour, "width": 1.6}}
    return [{**_points(trials, kind, axes, x, y, names), "name": mark.words, "marker": marker}]


def _reached(
    trials: Sequence[Trial], kind: str, axes: Mapping[str, Figure], x: str, y: str, colour: str, names: Sequence[str]
) -> list[Figure]:
    title, value = COLOURS[colour]
    amounts = [value(trial) for trial in trials]
    known = positive(amounts)
    if not known:
        return []
    low, high = min(known), max(known)
    marker = {
        "size": 11 if kind == "scatter" else 6,
        "color": plain(math.log10(amount) if positive([amount]) and amount else None for amount in amounts),
        "cmin": math.log10(low),
        "cmax": math.log10(high),
        "colorscale": COLOUR_SCALE,
        "line": {"color": INK, "width": 0.6 if kind == "scatter" else 0},
        "colorbar": log_colour_bar(
            low, high, title, below=0.16, label=format_seconds if colour == "seconds" else tick_label
        ),
    }
    return [{**_points(trials, kind, axes, x, y, names), "name": "reached the target", "marker": marker}]
