"""Two studies in one picture: the best found against what was spent, their steps laws, and their plans."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from largebatch.search.laws.fit_laws import FittedLaws
from largebatch.search.laws.law import Array, Prediction
from largebatch.search.plan.plan import Plan
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import format_number, format_seconds
from largebatch.studies.views.report.figures.axes import (
    Figure,
    band,
    figure_layout,
    log_axis,
    log_grid,
    plain,
    positive,
    safe,
)

LOOKS = (
    {"color": "var(--blue)", "dash": "solid", "symbol": "circle", "band": "var(--band)"},
    {"color": "var(--vermillion)", "dash": "dash", "symbol": "square", "band": "var(--second-band)"},
)
"""Of the first and the second: told apart by colour, line and mark."""


def best_so_far_figure(trials: Mapping[str, Sequence[Trial]]) -> Figure | None:
    """The fewest examples to the target that a search had found, against the examples that its trials had used."""
    data: list[Figure] = []
    spent: list[float] = []
    found: list[float] = []
    for look, (name, one) in zip(LOOKS, trials.items(), strict=False):
        x, y, texts = [], [], []
        total, best = 0, math.inf
        for trial in one:
            total += trial.own_examples
            if (trial.examples_to_target or math.inf) < best:
                best = trial.examples_to_target or math.inf
                texts.append(f"{safe(name)}: trial {trial.number}, batch {trial.recipe.global_batch_size}")
                x.append(total)
                y.append(best)
        if x:
            x, y, texts = [*x, total], [*y, best], [*texts, f"{safe(name)}: at the end"]
            line = {"color": look["color"], "dash": look["dash"], "shape": "hv", "width": 2}
            data.append(_lines(name, x, y, texts) | {"line": line, "marker": _marker(look)})
        spent, found = [*spent, *x], [*found, *y]
    if not data:
        return None
    layout = figure_layout(
        xaxis=log_axis(spent, "examples trained by all trials so far"),
        yaxis=log_axis(found, "fewest examples to target so far"),
        height=420,
    )
    return {"data": data, "layout": layout}


def laws_figure(laws: Mapping[str, FittedLaws | None]) -> Figure | None:
    """Both steps laws with the batch sizes that they were fitted to; None where there are none."""
    sizes = [o.global_batch_size for one in laws.values() if one is not None for o in one.optima if o.reached]
    if not sizes:
        return None
    data, heights = [], []
    for look, (name, one) in zip(LOOKS, laws.items(), strict=False):
        if one is None:
            continue
        if one.steps.verdict != "no-law" and min(sizes) < max(sizes):
            x = log_grid(min(sizes), max(sizes))
            told = one.steps.predict(x)
            data.append(band(x, told, f"{safe(name)}, 90 % interval", fillcolor=look["band"], showlegend=False))
            line = {"color": look["color"], "dash": look["dash"], "width": 2}
            data.append(_lines(name, x, told.value.tolist(), []) | {"mode": "lines", "line": line, "hoverinfo": "skip"})
            heights += told.value.tolist()
        reached = [o for o in one.optima if o.reached]
        texts = [f"{safe(name)}: batch {o.global_batch_size}, {format_number(o.steps)} steps" for o in reached]
        marks = _lines(
            f"{name}, fewest steps", [o.global_batch_size for o in reached], [o.steps for o in reached], texts
        )
        data.append(marks | {"mode": "markers", "marker": _marker(look)})
        heights += [o.steps for o in reached]
    layout = figure_layout(
        xaxis=log_axis(sizes, "global batch size (examples a step)", binary=True),
        yaxis=log_axis(heights, "steps to target", padding=1.4),
        height=420,
    )
    return {"data": data, "layout": layout}


def plans_figure(plans: Mapping[str, Plan | None]) -> Figure | None:
    """Time to target against workers by both plans; None where there is none."""
    data, counts, heights = [], [], []
    for look, (name, plan) in zip(LOOKS, plans.items(), strict=False):
        rows = [row for row in (plan.rows if plan is not None else ()) if positive([row.seconds_to_target])]
        if not rows:
            continue
        workers = [row.num_workers for row in rows]
        told = Prediction(
            value=_array(row.seconds_to_target for row in rows), low=_array(row.seconds_low for row in rows),
            high=_array(row.seconds_high for row in rows),
        )  # fmt: skip
        texts = [
            f"{safe(name)}, {row.num_workers} workers: {format_seconds(row.seconds_to_target)}<br>"
            f"batch {row.global_batch_size}, learning rate {format_number(row.recipe.get('learning_rate'))}"
            for row in rows
        ]
        data.append(band(workers, told, f"{safe(name)}, 90 % interval", fillcolor=look["band"], showlegend=False))
        line = {"color": look["color"], "dash": look["dash"], "width": 2}
        data.append(_lines(name, workers, told.value.tolist(), texts) | {"line": line, "marker": _marker(look)})
        counts += workers
        heights += [*told.value.tolist(), *positive(told.low.tolist()), *positive(told.high.tolist())]
    if not data:
        return None
    layout = figure_layout(
        xaxis=log_axis(counts, "workers (devices)", binary=True),
        yaxis=log_axis(heights, "time to target (seconds)", padding=1.4),
        height=420,
    )
    return {"data": data, "layout": layout}


def _lines(name: str, x: Sequence[float], y: Sequence[float], texts: Sequence[str]) -> Figure:
    shape = {"type": "scatter", "mode": "lines+markers", "name": safe(name), "x": plain(x), "y": plain(y)}
    return shape | ({"hovertext": list(texts), "hoverinfo": "text"} if texts else {})


def _marker(look: Mapping[str, str]) -> Figure:
    return {"color": look["color"], "symbol": look["symbol"], "size": 8}


def _array(values: Iterable[float]) -> Array:
    return np.array(list(values), dtype=float)
