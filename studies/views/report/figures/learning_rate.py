"""Learning rate against batch size: every trial, the fitted valley, the best rates and the ridge of their law."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from largebatch.spaces.trial import Trial
from largebatch.studies.answer.trial_text import MARKS, outcome, trial_words, varying_names
from largebatch.studies.views.report.figures.axes import (
    COLOUR_SCALE,
    INK,
    Figure,
    figure_layout,
    law_traces,
    log_axis,
    log_colour_bar,
    measured_range,
    plain,
    positive,
    safe,
)
from largebatch.studies.views.report.figures.optima_traces import rate_optima
from largebatch.studies.views.report.figures.valley import valley_traces

if TYPE_CHECKING:
    from largebatch.search.laws.fit_laws import FittedLaws

_REPEAT_SHIFT = 1.07
"""Repeats of one recipe stand side by side, this factor apart, or they would hide one another."""

_MANY = 200
"""From this many trials the marks are smaller."""


def learning_rate_figure(trials: Sequence[Trial], laws: "FittedLaws | None") -> Figure:
    """Every trial in the plane that is searched, coloured by steps to the target. ``trials`` must not be empty."""
    x = _side_by_side(trials)
    names = varying_names(trials)
    data: list[Figure] = []
    mark_size = 11 if len(trials) <= _MANY else 7
    sizes = [trial.recipe.global_batch_size for trial in trials]
    span = (min(sizes), max(sizes))
    steps = positive(trial.steps_to_target for trial in trials)
    if laws is not None and steps:
        data += valley_traces(laws, (min(steps), max(steps)))
    if laws is not None and span[0] < span[1]:
        measured = [optimum.global_batch_size for optimum in laws.optima if positive([optimum.learning_rate])]
        data += law_traces(laws.learning_rate, span, measured_range(measured, sizes), "learning rate")
    for kind in MARKS:
        data += _unreached(
            [trial for trial in trials if not trial.reached and outcome(trial) is kind], x, names, mark_size
        )
    data += _reached([trial for trial in trials if trial.reached], x, names, mark_size)
    if laws is not None:
        data += rate_optima(laws.optima)
    rates = [trial.recipe.learning_rate for trial in trials]
    layout = figure_layout(
        xaxis=log_axis(sizes, "global batch size (examples a step)", binary=True, padding=1.45),
        yaxis=log_axis(rates, "learning rate", padding=1.5),
        height=560,
    )
    return {"data": data, "layout": layout}


def _side_by_side(trials: Sequence[Trial]) -> dict[int, float]:
    """Where each trial stands on the batch axis."""
    places = [(trial.recipe.global_batch_size, trial.recipe.learning_rate) for trial in trials]
    total, seen = Counter(places), Counter[tuple[int, float]]()
    x: dict[int, float] = {}
    for trial, place in zip(trials, places, strict=True):
        shift = _REPEAT_SHIFT ** min(1.0, 6 / total[place])
        x[trial.number] = place[0] * shift ** (seen[place] - (total[place] - 1) / 2)
        seen[place] += 1
    return x


def _points(trials: Sequence[Trial], x: dict[int, float], names: Sequence[str]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": plain(x[trial.number] for trial in trials),
        "y": plain(trial.recipe.learning_rate for trial in trials),
        "hovertext": [safe(trial_words(trial, names)).replace("\n", "<br>") for trial in trials],
        "hoverinfo": "text",
    }


def _unreached(trials: Sequence[Trial], x: dict[int, float], names: Sequence[str], mark_size: int) -> list[Figure]:
    if not trials:
        return []
    mark = MARKS[outcome(trials[0])]
    marker = {
        "symbol": mark.symbol,
        "size": mark_size - 2,
        "color": mark.colour,
        "line": {"color": mark.colour, "width": 1.6},
    }
    return [{**_points(trials, x, names), "name": mark.words, "marker": marker}]


def _reached(trials: Sequence[Trial], x: dict[int, float], names: Sequence[str], mark_size: int) -> list[Figure]:
    steps = [trial.steps_to_target or float("nan") for trial in trials]
    if not positive(steps):
        return []
    low, high = min(positive(steps)), max(positive(steps))
    logs = plain(math.log10(value) for value in (*steps, low, high))
    marker = {
        "size": mark_size,
        "color": logs[: len(steps)],
        "cmin": logs[len(steps)],
        "cmax": logs[len(steps) + 1],
        "colorscale": COLOUR_SCALE,
        "line": {"color": INK, "width": 0.6},
        "colorbar": log_colour_bar(low, high, "steps to target", below=0.18),
    }
    return [{**_points(trials, x, names), "name": "reached the target", "marker": marker}]
