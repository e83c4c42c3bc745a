"""The deadline as a line across the panel of times."""

import math

from largebatch.studies.answer.best_trials import format_seconds
from largebatch.studies.views.report.figures.axes import Figure


def with_deadline(figure: Figure, seconds_allowed: float | None) -> Figure:
    """``figure``, whose y axis is the logarithm of seconds, with the deadline drawn where there is one."""
    if seconds_allowed is None:
        return figure
    layout, at = figure["layout"], math.log10(seconds_allowed)
    low, high = layout["yaxis"]["range"]
    axis = {**layout["yaxis"], "range": [min(low, at - 0.1), max(high, at + 0.1)]}
    line = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": seconds_allowed, "y1": seconds_allowed}
    style = {"line": {"color": "var(--vermillion)", "width": 2, "dash": "dash"}}
    label = {
        "text": f"deadline {format_seconds(seconds_allowed)}",
        "xref": "paper",
        "x": 1,
        "xanchor": "right",
        "y": at,
    }
    look = {"yanchor": "bottom", "showarrow": False, "font": {"color": "var(--vermillion)"}, "bgcolor": "var(--paper)"}
    return {**figure, "layout": {**layout, "yaxis": axis, "shapes": [line | style], "annotations": [label | look]}}
