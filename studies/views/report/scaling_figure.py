"""Speed-up and efficiency against devices: ours, measured and predicted, and what the source paper reports."""

from collections.abc import Mapping, Sequence

import numpy as np

from largebatch.search.laws.law import Prediction
from largebatch.studies.answer.best_trials import format_number
from largebatch.studies.answer.scaling.published import INDEPENDENT_RESNET, RESNET_HAL, PaperCurve
from largebatch.studies.answer.scaling.scaling import Scaling
from largebatch.studies.views.report.figures.axes import (
    INK,
    MUTED,
    Figure,
    band,
    figure_layout,
    log_axis,
    log_grid,
    plain,
)

LEAST_SHOWN = 4
"""Devices that the axis reaches at least."""


def scaling_figure(scaling: Scaling, curve: PaperCurve | None) -> Figure:
    """Two panels over one axis of devices: speed-up on a log axis, and efficiency."""
    most = max(scaling.rows[-1].num_workers, curve.num_gpus if curve else 1, LEAST_SHOWN)
    data = [*_ideal(most), *_law(scaling, most)]
    if curve is not None:
        data += _paper(curve)
    if curve is RESNET_HAL:
        data += _independent(INDEPENDENT_RESNET)
    data += _ours(scaling)  # last, for ours would lie below the paper's larger marks
    slowest = [row.speedup_low for row in scaling.rows[1:] if row.measured]
    devices = "devices (workers)" if curve is None else "GPUs (workers)"
    layout = figure_layout(
        xaxis={**log_axis([1, most], devices, binary=True), "anchor": "y2"},
        yaxis={**log_axis([1, *slowest, most], "speed-up", binary=True), "domain": [0.42, 1.0]},
        yaxis2={"title": {"text": "efficiency (%)"}, "domain": [0.0, 0.34], "range": [0, 115]},
        height=620,
    )
    return {"data": data, "layout": layout}


def _ideal(most: int) -> list[Figure]:
    """As fast as there are devices."""
    line = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "legendgroup": "ideal"}
    style = {"line": {"color": MUTED, "dash": "dot", "width": 1.5}}
    return [
        {**line, **style, "name": "ideal", "x": [1, most], "y": [1, most]},
        {**line, **style, "name": "ideal", "x": [1, most], "y": [100, 100], "yaxis": "y2", "showlegend": False},
    ]


def _law(scaling: Scaling, most: int) -> list[Figure]:
    """The law's curve: full where steps were measured, dashed beyond."""
    reached = max(row.num_workers for row in scaling.rows if row.measured)
    grid = sorted({reached, *(round(count) for count in log_grid(1.0, float(most)))})
    told = scaling.predict_speedup(grid)
    shares = Prediction(
        value=100 * told.value / np.array(grid), low=100 * told.low / np.array(grid),
        high=100 * told.high / np.array(grid),
    )  # fmt: skip
    data = [
        band(grid, told, "90 % interval of our prediction", legendgroup="law"),
        band(grid, shares, "", legendgroup="law", showlegend=False, yaxis="y2"),
    ]
    for name, kept, dash in (
        ("our law, within what was measured", [at <= reached for at in grid], "solid"),
        ("our prediction", [at >= reached for at in grid], "dash"),
    ):
        if sum(kept) < 2:
            continue
        for panel, values in (("y", told.value), ("y2", shares.value)):
            data.append(
                {
                    "type": "scatter", "mode": "lines", "name": name, "legendgroup": name, "yaxis": panel,
                    "showlegend": panel == "y", "hoverinfo": "skip",
                    "x": plain(at for at, keep in zip(grid, kept, strict=True) if keep),
                    "y": plain(value for value, keep in zip(values.tolist(), kept, strict=True) if keep),
                    "line": {"color": INK, "width": 2, "dash": dash},
                }
            )  # fmt: skip
    return data


def _ours(scaling: Scaling) -> list[Figure]:
    """Measured rows filled, predicted rows open."""
    data = []
    for measured in (True, False):
        rows = [row for row in scaling.rows if row.measured is measured]
        if not rows:
            continue
        marker = {
            "size": 10,
            "color": "var(--blue)" if measured else "var(--paper)",
            "line": {"color": "var(--blue)", "width": 2},
        }
        hover = [
            f"ours, {'measured' if measured else 'predicted'}: {row.num_workers} × {row.local_batch_size} examples<br>"
            f"speed-up {format_number(row.speedup)}"
            f" ({format_number(row.speedup_low)} to {format_number(row.speedup_high)}),"
            f" efficiency {format_number(100 * row.efficiency, 2)} %<br>"
            f"{format_number(row.examples_per_second)} examples/s"
            for row in rows
        ]
        name = "ours, measured" if measured else "ours, predicted"
        x = [row.num_workers for row in rows]
        data += _points(name, x, [row.speedup for row in rows], marker, hover)
    return data


def _paper(curve: PaperCurve) -> list[Figure]:
    marker = {"symbol": "diamond", "size": 13, "color": "var(--vermillion)"}
    hours = {1: curve.hours_alone, curve.num_gpus: curve.hours}
    where = {1: "HAL" if curve.borrowed else curve.system, curve.num_gpus: curve.system}
    bound = "at most " if curve.at_most else ""
    hover = [
        f"the paper: {n:,} V100 of {where[n]}, {format_number(time)} hours<br>"
        f"{bound if n > 1 else ''}{format_number(curve.hours_alone / time)} times one GPU"
        for n, time in hours.items()
    ]
    name = f"the paper, {curve.system}{' (upper bound)' if curve.at_most else ''}"
    return _points(name, list(hours), [curve.hours_alone / time for time in hours.values()], marker, hover)


def _independent(rates: Mapping[int, float]) -> list[Figure]:
    marker = {"symbol": "square-open", "size": 10, "color": "var(--green)", "line": {"width": 2}}
    hover = [f"an independent curve: {n} V100, {rate:,.0f} images/s" for n, rate in rates.items()]
    return _points("independent, 64 V100", list(rates), [rate / rates[1] for rate in rates.values()], marker, hover)


def _points(
    name: str, x: Sequence[int], speedups: Sequence[float], marker: Figure, hover: Sequence[str]
) -> list[Figure]:
    shares = [100 * speedup / count for count, speedup in zip(x, speedups, strict=True)]
    return [
        {
            "type": "scatter", "mode": "markers", "name": name, "legendgroup": name, "showlegend": panel == "y",
            "x": list(x), "y": plain(values), "yaxis": panel, "marker": marker, "hovertext": list(hover),
            "hoverinfo": "text",
        }
        for panel, values in (("y", speedups), ("y2", shares))
    ]  # fmt: skip
