"""A ring round the plan's row where more workers stop paying."""

from collections.abc import Sequence

from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.studies.views.report.figures.axes import Figure, plain


def knee_rings(plan: Plan, rows: Sequence[PlanRow], values: Sequence[float], panel: str) -> list[Figure]:
    """The ring in the panel of the y axis ``panel``, at that row's one of ``values``; none where there is no knee."""
    marker = {"symbol": "circle-open", "size": 20, "color": "var(--vermillion)", "line": {"width": 2.5}}
    return [
        {
            "type": "scatter",
            "name": f"where more workers stop paying ({row.num_workers})",
            "legendgroup": "knee",
            "showlegend": panel == "y",
            "mode": "markers",
            "x": [row.num_workers],
            "y": plain([value]),
            "yaxis": panel,
            "marker": marker,
            "hoverinfo": "skip",
        }
        for row, value in zip(rows, values, strict=True)
        if row.num_workers == plan.knee_num_workers
    ]
