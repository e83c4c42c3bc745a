"""Curves of thousands of trials: one WebGL line a group, its trials' curves one after another with gaps between."""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from largebatch.search.plan.finalists import best_trials
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.trial_text import drawn, spread, trial_words
from largebatch.studies.record.curve_reader import Series
from largebatch.studies.views.report.figures.axes import INK, Figure, figure_layout, level, log_axis, safe, tick_label

MAX_CURVES, MAX_TOTAL_POINTS, MOST_POINTS = 3000, 90_000, 300
"""Curves drawn at most; points of all of them, and of one."""
WIDE = 30.0
"""Positive values that span more than this factor get a log axis."""
Array = NDArray[np.float64]

ACROSS = {
    "examples": "examples trained", "steps": "steps (optimizer updates)", "seconds": "seconds of training",
}  # fmt: skip


def many_curves_figure(
    trials: Sequence[Trial], read: Callable[[Trial], Series | None], target: Target, *,
    value: str, across: str, group: str, names: Sequence[str],
) -> Figure | None:  # fmt: skip
    """Curves of ``value`` by groups of the recipe's ``group``; None where no trial has one.

    The best trial of each batch size is drawn thick.
    """
    best = {trial.number for trial in best_trials(trials).values()}
    shown = drawn(trials, MAX_CURVES, lambda trial: trial.number in best)
    limit = min(MOST_POINTS, max(2, MAX_TOTAL_POINTS // max(1, len(shown))))
    lines = [(trial, _thinned(series, across, limit)) for trial in shown if (series := read(trial)) is not None]
    lines = [(trial, line) for trial, line in lines if len(line[0]) > 1]
    if not lines:
        return None
    groups = _in_order({getattr(trial.recipe, group, None) for trial, _ in lines})
    texts = {trial.number: safe(trial_words(trial, names)).replace("\n", "<br>") for trial, _ in lines}
    data = []
    for index, key in enumerate(groups):
        own = [(trial, line) for trial, line in lines if getattr(trial.recipe, group, None) == key]
        label = f"{'batch' if group == 'global_batch_size' else group.replace('_', ' ')} {key}"
        colour = level(index / max(1, len(groups) - 1))
        for is_best in (False, True):
            chosen = [(trial, line) for trial, line in own if (trial.number in best) is is_best]
            if chosen:
                data.append(_trace(chosen, texts, safe(label), colour, thick=is_best))
    data.sort(key=lambda trace: trace["line"]["width"])
    _one_entry_a_group(data)
    return {"data": data, "layout": _layout([line for _, line in lines], target, value, across)}


def _thinned(series: Series, across: str, limit: int) -> tuple[Array, Array]:
    x: Array = {"examples": series.examples, "steps": series.steps, "seconds": series.seconds}[across].astype(float)
    y = series.values
    known = np.flatnonzero(np.isfinite(y))
    kept = np.array(spread(known.tolist(), limit), dtype=int)
    return x[kept], y[kept]


def _trace(
    lines: Sequence[tuple[Trial, tuple[Array, Array]]], texts: Mapping[int, str], name: str, colour: str, *, thick: bool
) -> Figure:
    gap = np.array([math.nan])
    numbers: list[int | None] = []
    for trial, (x, _) in lines:
        numbers += [trial.number] * len(x)
        numbers.append(None)
    return {
        "type": "scattergl",
        "name": name,
        "legendgroup": name,
        "mode": "lines",
        "x": _packed(np.concatenate([part for _, (x, _) in lines for part in (x, gap)])),
        "y": _packed(np.concatenate([part for _, (_, y) in lines for part in (y, gap)])),
        "customdata": numbers,
        "texts": {trial.number: texts[trial.number] for trial, _ in lines},
        "line": {"color": colour, "width": 3 if thick else 1},
        "opacity": 1.0 if thick or len(lines) < 40 else 0.5,
        "hovertemplate": "%{y:.4g} at %{x:,.4~g}<br>%{hovertext}<extra></extra>",
    }


def _packed(values: Array) -> dict[str, str]:
    """Numbers as plotly.js reads them in binary: a fifth of the bytes of their digits."""
    return {"dtype": "f4", "bdata": base64.b64encode(values.astype("<f4").tobytes()).decode()}


def _one_entry_a_group(data: Sequence[Figure]) -> None:
    seen: set[str] = set()
    for trace in reversed(data):
        trace["showlegend"] = trace["name"] not in seen
        seen.add(trace["name"])


def _in_order(keys: set[Any]) -> list[Any]:
    numbers = sorted(key for key in keys if isinstance(key, int | float))
    return [*numbers, *sorted((key for key in keys if not isinstance(key, int | float)), key=str)]


def _layout(lines: Sequence[tuple[Array, Array]], target: Target, value: str, across: str) -> Figure:
    """The axis of values shows nearly all of them; what diverges may leave the picture."""
    values = np.concatenate([y for _, y in lines])
    low, high = np.quantile(values, [0.0, 0.99]).tolist()
    own = value == target.metric
    low, high = (min(low, target.bound), max(high, target.bound)) if own else (low, high)
    is_log = low > 0 and high / low > WIDE
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    yaxis: Figure = {"title": {"text": safe(value)}, "range": [low - margin, high + margin]}
    if is_log:
        yaxis = log_axis([low, high], safe(value), padding=1.3)
    xs = np.concatenate([x for x, _ in lines])
    xaxis: Figure = {"title": {"text": ACROSS[across]}, "rangemode": "tozero"}
    if across == "steps":
        xaxis = log_axis(xs[xs > 0].tolist() or [1.0], ACROSS[across], padding=1.1)
    marks = _target_marks(target, math.log10(target.bound) if is_log else target.bound) if own else {}
    legend = {**figure_layout()["legend"], "itemsizing": "constant"}
    return figure_layout(xaxis=xaxis, yaxis=yaxis, height=560, legend=legend, **marks)


def _target_marks(target: Target, at: float) -> Figure:
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": target.bound, "y1": target.bound}
    label = {"text": f"target: {tick_label(target.bound)}", "xref": "paper", "x": 1, "xanchor": "right", "y": at}
    look = {"yanchor": "bottom" if target.above is not None else "top", "showarrow": False, "bgcolor": "var(--paper)"}
    return {"shapes": [line | {"line": {"color": INK, "width": 1.5, "dash": "dot"}}], "annotations": [label | look]}
