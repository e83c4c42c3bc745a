"""What was found for each batch size, as marks with bars: full, or open where the search stopped too early."""

from collections.abc import Sequence
from typing import NamedTuple

from largebatch.studies.report.axes import INK, MUTED, Figure, plain


class Optimum(NamedTuple):
    """One batch size's value with the bounds of its 90 % interval."""

    global_batch_size: int
    value: float
    low: float
    high: float
    on_edge: bool
    words: str


def optima_traces(name: str, optima: Sequence[Optimum]) -> list[Figure]:
    """Diamonds with bars, those on the edge of what was tried under a name of their own."""
    traces = []
    for on_edge, symbol, kind in ((False, "diamond", "90 % interval"), (True, "diamond-open", "on the edge")):
        chosen = [optimum for optimum in optima if optimum.on_edge is on_edge]
        colours: Figure = {
            "color": INK,
            "line": {"color": INK if on_edge else "var(--paper)", "width": 2 if on_edge else 1},
        }
        bars = {
            "type": "data",
            "symmetric": False,
            "array": plain(optimum.high - optimum.value for optimum in chosen),
            "arrayminus": plain(optimum.value - optimum.low for optimum in chosen),
            **{"color": MUTED, "thickness": 1.5, "width": 5},
        }
        if chosen:
            traces.append(
                {
                    "type": "scatter",
                    "name": f"{name}, {kind}",
                    "mode": "markers",
                    "x": [optimum.global_batch_size for optimum in chosen],
                    "y": plain(optimum.value for optimum in chosen),
                    "error_y": bars,
                    "marker": colours | {"symbol": symbol, "size": 11},
                    "hovertext": [optimum.words for optimum in chosen],
                    "hoverinfo": "text",
                }
            )
    return traces
