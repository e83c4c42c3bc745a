"""Every trial in any two dimensions of its recipe, coloured by what it took to the target; the ridge and the valley.

Over learning rate and batch size, the fitted valley lies behind the trials: log(steps) at every rate, and the ridge of
the best rates through it. An invisible layer over the searched plane tells where a click was, trial or not.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from largebatch.search.laws.fitting import FittedLaws
from largebatch.spaces.domain import Range
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial
from largebatch.studies.dashboard.figures.dimension_axis import dimension_axis, positions
from largebatch.studies.report.answer import format_number, format_seconds
from largebatch.studies.report.axes import (
    COLOUR_SCALE,
    INK,
    Figure,
    ends,
    figure_layout,
    law_traces,
    measured_range,
    one_two_five,
    plain,
    positive,
    safe,
    tick_label,
)
from largebatch.studies.report.optima_traces import Optimum, optima_traces
from largebatch.studies.report.trial_words import MARKS, best_trials, drawn, outcome, trial_words

PLANE = ("global_batch_size", "learning_rate")
MAX_POINTS, FEW = 4000, 800
"""Trials drawn at most, and up to how many as SVG rather than by WebGL."""
NUM_RATES = 60
WALL = math.log(1e6)
"""Where training diverges, the fitted log(steps) rise beyond all numbers; they are told up to here."""

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
        data += _valley(laws) if colour == "steps" else []
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
        data += _optima(laws)
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


def _valley(laws: FittedLaws) -> list[Figure]:
    """The fitted steps at each batch size and rate, faint, in the colours of the trials."""
    found = laws.found
    groups = [g for g, optimum in enumerate(found.optima) if optimum.reached]
    if len(groups) < 2:
        return []
    tried = np.log([trial.recipe.effective_learning_rate for trial in found.trials])
    x_R = np.linspace(tried.min(), tried.max(), NUM_RATES)
    z_RG = np.stack([found.valley.predict(x_R, np.full(NUM_RATES, g)) for g in groups], axis=1)
    z_RG = np.minimum(z_RG, WALL)
    steps = positive(trial.steps_to_target for trial in found.trials)
    sizes = [found.optima[g].global_batch_size for g in groups]
    rates = plain((found.damping * np.exp(x_R)).tolist())
    words = [
        [
            f"batch {size}, learning rate {format_number(rate)}<br>fitted valley: {format_number(math.exp(z))} steps"
            for size, z in zip(sizes, row, strict=True)
        ]
        for rate, row in zip(rates, z_RG.tolist(), strict=True)
    ]
    logs = [math.log10(end) for end in (min(steps), max(steps))]
    return [
        {
            "type": "heatmap", "name": "the fitted valley", "x": sizes, "y": rates,
            "z": np.round(z_RG / math.log(10), 4).tolist(), "zmin": logs[0], "zmax": logs[1], "text": words,
            "hoverinfo": "text", "colorscale": COLOUR_SCALE, "opacity": 0.28, "showscale": False,
        }
    ]  # fmt: skip


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
    ticks = one_two_five(low, high)
    ticks = ticks if len(ticks) > 1 else ends([low, high])
    bar: dict[str, Any] = {
        "title": {"text": title, "side": "top"},
        "tickvals": [math.log10(tick) for tick in ticks],
        "ticktext": [format_seconds(tick) if colour == "seconds" else tick_label(tick) for tick in ticks],
        **{"orientation": "h", "thickness": 10, "len": 0.7, "outlinewidth": 0},
        **{"x": 0.5, "xanchor": "center", "y": -0.16, "yanchor": "top", "ticklabeloverflow": "allow"},
    }
    marker = {
        "size": 11 if kind == "scatter" else 6,
        "color": plain(math.log10(amount) if positive([amount]) and amount else None for amount in amounts),
        "cmin": math.log10(low),
        "cmax": math.log10(high),
        "colorscale": COLOUR_SCALE,
        "line": {"color": INK, "width": 0.6 if kind == "scatter" else 0},
        "colorbar": bar,
    }
    return [{**_points(trials, kind, axes, x, y, names), "name": "reached the target", "marker": marker}]


def _optima(laws: FittedLaws) -> list[Figure]:
    """The best rate of each batch size with its interval."""
    shown = [
        Optimum(
            o.global_batch_size, o.learning_rate, o.learning_rate_low, o.learning_rate_high, o.edge is not None,
            f"best rate at batch {o.global_batch_size}: {format_number(o.learning_rate)}<br>90 % interval "
            f"{format_number(o.learning_rate_low)} to {format_number(o.learning_rate_high)}",
        )
        for o in laws.optima
        if positive([o.learning_rate])
    ]  # fmt: skip
    return optima_traces("best rate of a batch size", shown)
