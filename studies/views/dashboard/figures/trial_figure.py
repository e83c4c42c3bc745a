"""One trial as it trained: the target's metric, losses, noise scale and learning rate over one axis of examples."""

from collections.abc import Mapping, Sequence

import numpy as np

from largebatch.search.laws.law import Prediction
from largebatch.spaces.target import Target
from largebatch.studies.record.curve_reader import Series
from largebatch.studies.views.report.figures.axes import (
    INK,
    Figure,
    band,
    figure_layout,
    log_axis,
    plain,
    positive,
    safe,
)

_COLOURS = ("var(--blue)", "var(--vermillion)", "var(--green)", "var(--purple)", "var(--orange)", INK)
_SCALES = ("noise_scale", "scaled_noise_scale")
_PANEL_HEIGHT, _GAP = 190, 0.06


def trial_figure(curve: Mapping[str, Series], target: Target) -> Figure | None:
    """A panel for each kind of value that was recorded; None where nothing was."""
    losses = [name for name in curve if name.endswith("loss") and name != target.metric]
    others = [name for name in curve if name.startswith("val_") and name not in (*losses, target.metric)]
    kinds = [
        (target.metric, [target.metric]), ("loss", losses), ("other metrics", others),
        ("noise (examples)", list(_SCALES)), ("learning rate", ["learning_rate"]),
    ]  # fmt: skip
    panels = [(title, [name for name in names if name in curve]) for title, names in kinds]
    panels = [(title, names) for title, names in panels if names]
    if not panels:
        return None
    share = (1 + _GAP) / len(panels)
    data: list[Figure] = []
    layout = figure_layout(height=90 + _PANEL_HEIGHT * len(panels))
    for index, (title, names) in enumerate(panels):
        panel = "y" if index == 0 else f"y{index + 1}"
        values = [value for name in names for value in curve[name].values.tolist()]
        for name in names:
            colour = _COLOURS[sum(bool(trace.get("marker")) for trace in data) % len(_COLOURS)]
            data += _lines(curve, name, panel, colour)
        is_log = title.startswith("noise") or (title in ("loss", "learning rate") and _spans(values))
        from_zero = {"rangemode": "tozero"} if title == "learning rate" else {}
        axis = log_axis(values, safe(title)) if is_log else {"title": {"text": safe(title)}, **from_zero}
        top = 1 - index * share
        place = {"domain": [max(0.0, top - share + _GAP), top], "automargin": True}
        layout[f"yaxis{panel[1:]}"] = axis | place
    layout["xaxis"] = {
        "title": {"text": "examples trained"}, "rangemode": "tozero", "automargin": True,
        "anchor": "y" if len(panels) == 1 else f"y{len(panels)}",
    }  # fmt: skip
    layout["shapes"] = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": target.bound, "y1": target.bound, "yref": "y"}
        | {"line": {"color": INK, "width": 1.5, "dash": "dot"}}
    ]
    return {"data": data, "layout": layout}


def _lines(curve: Mapping[str, Series], name: str, panel: str, colour: str) -> list[Figure]:
    series = curve[name]
    lines: list[Figure] = []
    low, high = curve.get(f"{name}_low"), curve.get(f"{name}_high")
    if low is not None and high is not None and len(low.values) == len(high.values) == len(series.values):
        inside = Prediction(value=series.values, low=low.values, high=high.values)
        examples: Sequence[float] = series.examples.tolist()
        lines.append(band(examples, inside, "90 % interval", yaxis=panel, showlegend=False))
    lines.append(
        {
            "type": "scatter", "name": safe(name), "mode": "lines+markers", "x": series.examples.tolist(),
            "y": plain(series.values.tolist()), "yaxis": panel, "line": {"color": colour, "width": 2},
            "marker": {"size": 5}, "hovertemplate": f"{safe(name)} %{{y:.4g}} at %{{x:,}} examples<extra></extra>",
        }
    )  # fmt: skip
    return lines


def _spans(values: Sequence[float]) -> bool:
    known = np.array(positive(values))
    return len(known) > 1 and float(known.max() / known.min()) > 30
