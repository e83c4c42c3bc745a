"""What all figures share: axes with plain tick labels, colours that follow light and dark, plain values for JSON.

A colour written ``var(--name)`` is looked up in the page's style sheet when a figure is drawn, and again when the
reader's screen changes between light and dark.
"""

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from largebatch.search.laws.law import Law, Prediction

Figure = dict[str, Any]
"""``data`` and ``layout`` of plotly.js, and perhaps ``switch``: other x values that a reader can choose."""

NUM_LEVELS = 10
"""Colours ``--v0`` to ``--v9`` of the style sheet, from low to high: viridis without its end nearest the paper."""

COLOUR_SCALE = [[level / (NUM_LEVELS - 1), f"var(--v{level})"] for level in range(NUM_LEVELS)]
INK, MUTED, FAINT, BAND = "var(--ink)", "var(--muted)", "var(--faint)", "var(--band)"
_MAX_TICKS = 8


def safe(text: object) -> str:
    """``text`` for a plotly label, which reads a subset of HTML. Quotes stay: plotly does not know their entities."""
    return html.escape(str(text), quote=False)


def plain(values: Iterable[float | None], digits: int = 5) -> list[float | None]:
    """Values for JSON, rounded to significant digits; None where there is no finite number."""
    return [float(f"{value:.{digits}g}") if value is not None and math.isfinite(value) else None for value in values]


def level(position: float) -> str:
    """The colour at ``position`` in [0, 1] of the scale."""
    return f"var(--v{round(min(max(position, 0.0), 1.0) * (NUM_LEVELS - 1))})"


def tick_label(value: float) -> str:
    """A plain number: 0.025, 16, 65536."""
    return f"{value:.10f}".rstrip("0").rstrip(".") if value < 1 else f"{value:.10g}"


def positive(values: Iterable[float | None]) -> list[float]:
    """The values that a log axis can show."""
    return [value for value in values if value is not None and math.isfinite(value) and value > 0]


def powers_of_two(low: float, high: float) -> list[float]:
    """Powers of two in ``[low, high]``, thinned evenly to what fits on a narrow screen."""
    exponents = range(math.ceil(math.log2(low) - 1e-9), math.floor(math.log2(high) + 1e-9) + 1)
    return [2.0**exponent for exponent in exponents[:: math.ceil(len(exponents) / _MAX_TICKS) or 1]]


def one_two_five(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, .. in ``[low, high]``; decades, or every few of them, where that is wide."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    width = math.log10(high / low)
    if width > 3.2:
        ticks = [10.0**decade for decade in decades[:: math.ceil(width / _MAX_TICKS)]]
    else:
        ticks = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def ends(values: Sequence[float]) -> list[float]:
    """The smallest and the largest value, rounded: ticks where no two round numbers lie between them."""
    return sorted({float(f"{end:.3g}") for end in (min(values), max(values))})


def log_axis(values: Iterable[float | None], title: str, *, binary: bool = False, padding: float = 1.25) -> Figure:
    """A log axis that shows all positive ``values``, ticks at powers of two (``binary``) or at 1, 2, 5."""
    shown = positive(values) or [1.0]
    low, high = min(shown) / padding, max(shown) * padding
    ticks = powers_of_two(low, high) if binary else one_two_five(low, high)
    if len(ticks) < 2:
        ticks = ends(shown)
    return {
        "type": "log",
        "title": {"text": title},
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [tick_label(tick) if binary or tick < 10_000 else f"{tick:,.0f}" for tick in ticks],
    }


def log_colour_bar(
    low: float, high: float, title: str, *, below: float, label: Callable[[float], str] = tick_label
) -> Figure:
    """A bar under a figure for colours that are log10 of values from ``low`` to ``high``; ``below`` the plot so far."""
    ticks = one_two_five(low, high)
    ticks = ticks if len(ticks) > 1 else ends([low, high])
    return {
        "title": {"text": title, "side": "top"},
        "tickvals": plain(math.log10(tick) for tick in ticks),
        "ticktext": [label(tick) for tick in ticks],
        **{"orientation": "h", "thickness": 10, "len": 0.7, "outlinewidth": 0},
        **{"x": 0.5, "xanchor": "center", "y": -below, "yanchor": "top", "ticklabeloverflow": "allow"},
    }


def log_grid(low: float, high: float, num_points: int = 60) -> list[float]:
    """Points evenly spaced on a log axis, for a smooth line."""
    return [low * (high / low) ** (index / (num_points - 1)) for index in range(num_points)]


def band(x: Sequence[float], prediction: Prediction, name: str, **options: Any) -> Figure:
    """The interval as a filled outline."""
    pairs = [
        (at, low, high)
        for at, low, high in zip(x, prediction.low.tolist(), prediction.high.tolist(), strict=True)
        if positive([low]) and positive([high])
    ]
    outline = [(at, high) for at, _, high in pairs] + [(at, low) for at, low, _ in reversed(pairs)]
    return {
        "type": "scatter",
        "name": name,
        "x": plain(at for at, _ in outline),
        "y": plain(value for _, value in outline),
        "mode": "lines",
        "fill": "toself",
        "fillcolor": BAND,
        "line": {"width": 0},
        "hoverinfo": "skip",
        **options,
    }


def law_traces(law: Law, shown: tuple[float, float], fitted: tuple[float, float], unit: str) -> list[Figure]:
    """The law with its band over ``shown``: a full line where it was ``fitted``, dashed where it extrapolates."""
    if law.verdict == "no-law":
        return []
    x = sorted({*log_grid(*shown), *fitted})
    prediction = law.predict(x)
    value = dict(zip(x, prediction.value.tolist(), strict=True))
    traces = [band(x, prediction, "90 % interval of the law", legendgroup="law")]
    pieces = {
        "law, extrapolated": [[at for at in x if at <= fitted[0]], [at for at in x if at >= fitted[1]]],
        "law, where it was fitted": [[at for at in x if fitted[0] <= at <= fitted[1]]],
    }
    for name, lines in pieces.items():
        points = [point for line in lines if len(line) > 1 for point in [*line, None]]
        if points:
            traces.append(
                {
                    "type": "scatter",
                    "name": name,
                    "x": plain(points),
                    "y": plain(value[at] if at is not None else None for at in points),
                    "mode": "lines",
                    "line": {"color": INK, "width": 2, "dash": "dash" if "extra" in name else "solid"},
                    "hovertemplate": f"batch %{{x:.0f}}: {safe(unit)} %{{y:.3g}}<extra></extra>",
                }
            )
    return traces


def measured_range(optima_sizes: Iterable[int], tried_sizes: Iterable[int]) -> tuple[int, int]:
    """The batch sizes between which a law was fitted: those with an optimum, else those that were tried."""
    sizes = list(optima_sizes) or list(tried_sizes)
    return min(sizes), max(sizes)


def figure_layout(**options: Any) -> Figure:
    """A layout with the legend above the plot; axes grow to fit their labels."""
    # A legend within the paper's frame, not the axes': else its width depends on margins that depend on its height,
    # and plotly may end with the last row on top of the points.
    layout: Figure = {
        "margin": {"l": 16, "r": 16, "t": 10, "b": 16, "pad": 0},
        "legend": {"orientation": "h", "xref": "container", "yref": "container"}
        | {"x": 0, "xanchor": "left", "y": 1, "yanchor": "top"},
        "hovermode": "closest",
    }
    layout.update(options)
    for name, axis in layout.items():
        if name.startswith(("xaxis", "yaxis")):
            axis.setdefault("automargin", True)
    return layout


def finite(node: Any) -> Any:
    """``node`` with every NaN and infinity replaced by None: JSON has neither."""
    if isinstance(node, float):
        return node if math.isfinite(node) else None
    if isinstance(node, Mapping):
        return {str(key): finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [finite(value) for value in node]
    return node
