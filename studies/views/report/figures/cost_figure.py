"""Speed-up, and device-hours or cost, against workers: what the figure of time leaves to be seen."""

from collections.abc import Sequence

import numpy as np

from largebatch.search.laws.law import Prediction
from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.studies.answer.best_trials import count, format_number
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


def cost_figure(plan: Plan) -> Figure:
    """Two panels over one axis of workers. The plan must have a row with a finite time.

    The interval of a speed-up is that of the row's own time, the time of the fewest workers held at its best guess.
    """
    rows = sorted((row for row in plan.rows if positive([row.seconds_to_target])), key=lambda row: row.num_workers)
    workers = [row.num_workers for row in rows]
    seconds = np.array([row.seconds_to_target for row in rows])
    low, high = np.array([row.seconds_low for row in rows]), np.array([row.seconds_high for row in rows])
    base = seconds[0]
    price = rows[0].cost / rows[0].device_hours if rows[0].cost is not None else None
    hours = np.array(workers) / 3600 * (price if price is not None else 1.0)
    title = "device-hours" if price is None else f"cost (at {format_number(price)} a device-hour)"
    panels = [
        ("y", base / seconds, base / high, base / low),
        ("y2", hours * seconds, hours * low, hours * high),
    ]
    data: list[Figure] = [
        {
            **_line("perfect scaling", workers, [number / workers[0] for number in workers], "y"),
            "line": {"color": MUTED, "dash": "dot", "width": 1.5},
            "showlegend": True,
        }
    ]
    heights: dict[str, list[float]] = {}
    for panel, value, least, most in panels:
        shown = panel == "y"
        data.append(
            band(workers, Prediction(value=value, low=least, high=most), "90 % interval", yaxis=panel, showlegend=shown)
        )
        data.append(_line("", workers, value.tolist(), panel))
        data += _points(rows, value.tolist(), panel, title if panel == "y2" else "speed-up")
        data += knee_rings(plan, rows, value.tolist(), panel)
        heights[panel] = [*value.tolist(), *least.tolist(), *most.tolist()]
    layout = figure_layout(
        xaxis={**log_axis(workers, "workers (devices)", binary=True), "anchor": "y2"},
        yaxis={**log_axis(heights["y"], "speed-up (times as fast)", padding=1.3), "domain": [0.54, 1.0]},
        yaxis2={**log_axis(heights["y2"], title, padding=1.3), "domain": [0.0, 0.46]},
        height=600,
    )
    return {"data": data, "layout": layout}


def _line(name: str, x: Sequence[float], y: Sequence[float], panel: str) -> Figure:
    shape = {"type": "scatter", "mode": "lines", "x": plain(x), "y": plain(y), "yaxis": panel, "hoverinfo": "skip"}
    return {**shape, "name": name, "showlegend": False, "line": {"color": INK, "width": 1.5}}


def _points(rows: Sequence[PlanRow], values: Sequence[float], panel: str, unit: str) -> list[Figure]:
    """Measured rows filled, predicted rows open, as in the figure of time."""
    data = []
    for name, measured in (("measured", True), ("predicted", False)):
        chosen = [(row, value) for row, value in zip(rows, values, strict=True) if row.measured is measured]
        if chosen:
            fill = "var(--blue)" if measured else "var(--paper)"
            data.append(
                {
                    "type": "scatter",
                    "name": name,
                    "legendgroup": name,
                    "showlegend": panel == "y",
                    "mode": "markers",
                    "x": [row.num_workers for row, _ in chosen],
                    "y": plain(value for _, value in chosen),
                    "yaxis": panel,
                    "marker": {"size": 10, "color": fill, "line": {"color": "var(--blue)", "width": 2}},
                    "hovertext": [_words(row, value, unit, name) for row, value in chosen],
                    "hoverinfo": "text",
                }
            )
    return data


def _words(row: PlanRow, value: float, unit: str, basis: str) -> str:
    return (
        f"{count(row.num_workers, 'worker')}: {unit} {format_number(value)}<br>batch {row.global_batch_size}, "
        f"learning rate {format_number(row.recipe.get('learning_rate'))}<br>{basis}"
    )
