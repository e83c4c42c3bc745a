"""Time to target and efficiency against workers, from the plan."""

from collections.abc import Sequence

import numpy as np

from largebatch.search.laws.law import Prediction
from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.studies.answer.best_trials import count, format_number, format_seconds, format_seconds_interval
from largebatch.studies.views.report.figures.axes import (
    INK,
    MUTED,
    Figure,
    band,
    figure_layout,
    log_axis,
    plain,
    positive,
)
from largebatch.studies.views.report.figures.knee_rings import knee_rings

_LENGTHS = (
    1e-3,
    2e-3,
    5e-3,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    3,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
)
_LONG = tuple(3600.0 * hours for hours in (2, 5, 10, 24, 48, 120, 240, 720, 2400, 7200, 24000))


def workers_figure(plan: Plan) -> Figure:
    """Two panels over one axis of workers. The plan must have a row with a finite time."""
    rows = sorted((row for row in plan.rows if positive([row.seconds_to_target])), key=lambda row: row.num_workers)
    workers = [row.num_workers for row in rows]
    lows = np.array([row.seconds_low for row in rows], dtype=float)
    highs = np.array([row.seconds_high for row in rows], dtype=float)
    seconds = np.array([row.seconds_to_target for row in rows], dtype=float)
    ideal = [seconds[0] * workers[0] / count for count in workers]
    data = [
        band(workers, Prediction(value=seconds, low=lows, high=highs), "90 % interval"),
        _line("perfect scaling", workers, ideal, "dot", MUTED),
        _line("", workers, seconds.tolist(), "solid", INK),
        {**_line("", workers, [100 * row.efficiency for row in rows], "solid", INK), "yaxis": "y2"},
    ]
    data += _points(rows)
    data += knee_rings(plan, rows, seconds.tolist(), "y")
    data += knee_rings(plan, rows, [100 * row.efficiency for row in rows], "y2")
    heights = [*lows.tolist(), *highs.tolist(), *seconds.tolist()]
    efficiencies = [100 * row.efficiency for row in rows if np.isfinite(row.efficiency)]
    layout = figure_layout(
        xaxis={**log_axis(workers, "workers (devices)", binary=True), "anchor": "y2"},
        yaxis={**_time_axis(heights), "domain": [0.4, 1.0]},
        yaxis2={
            "title": {"text": "efficiency (%)"},
            "domain": [0.0, 0.34],
            "range": [0, 1.12 * max([100.0, *efficiencies])],
        },
        height=600,
    )
    return {"data": data, "layout": layout}


def _time_axis(values: Sequence[float]) -> Figure:
    """A log axis with ticks at durations that people use."""
    axis = log_axis(values, "time to target", padding=1.4)
    low, high = 10 ** axis["range"][0], 10 ** axis["range"][1]
    ticks = [length for length in (*_LENGTHS, *_LONG) if low <= length <= high]
    if len(ticks) < 2:
        return {**axis, "title": {"text": "time to target (seconds)"}}
    ticks = ticks[:: -(-len(ticks) // 9)]
    labels = [format_seconds(length).replace(".0", "") for length in ticks]
    return {**axis, "tickvals": ticks, "ticktext": labels}


def _line(name: str, x: Sequence[float], y: Sequence[float], dash: str, colour: str) -> Figure:
    shape = {"type": "scatter", "mode": "lines", "x": plain(x), "y": plain(y), "hoverinfo": "skip"}
    return {**shape, "name": name, "showlegend": bool(name), "line": {"color": colour, "dash": dash, "width": 1.5}}


def _points(rows: Sequence[PlanRow]) -> list[Figure]:
    """Measured rows filled, predicted rows open, in both panels."""
    data = []
    for name, measured in (("measured", True), ("predicted", False)):
        chosen = [row for row in rows if row.measured is measured]
        if not chosen:
            continue
        for panel, values in (
            ("y", [row.seconds_to_target for row in chosen]),
            ("y2", [100 * row.efficiency for row in chosen]),
        ):
            data.append(
                {
                    "type": "scatter",
                    "name": name,
                    "legendgroup": name,
                    "showlegend": panel == "y",
                    "mode": "markers",
                    "x": [row.num_workers for row in chosen],
                    "y": plain(values),
                    "yaxis": panel,
                    "marker": {
                        "size": 10,
                        "color": "var(--blue)" if measured else "var(--paper)",
                        "line": {"color": "var(--blue)", "width": 2},
                    },
                    "hovertext": [_row_words(row) for row in chosen],
                    "hoverinfo": "text",
                }
            )
    return data


def _row_words(row: PlanRow) -> str:
    return (
        f"{count(row.num_workers, 'worker')}: {format_seconds(row.seconds_to_target)}"
        f" ({format_seconds_interval(row.seconds_low, row.seconds_high)})<br>"
        f"batch {row.global_batch_size} ({row.local_batch_size} a worker),"
        f" learning rate {format_number(row.recipe.get('learning_rate'))}<br>"
        f"{format_number(row.steps)} steps of {format_seconds(row.step_seconds)},"
        f" {format_number(row.speedup, 2)} times faster, efficiency {format_number(100 * row.efficiency, 2)} %<br>"
        f"{'measured' if row.measured else 'predicted'}"
    )
