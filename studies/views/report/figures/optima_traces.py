"""What was found for each batch size, as marks with bars: full, or open where the search stopped too early."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from largebatch.studies.answer.best_trials import format_number
from largebatch.studies.views.report.figures.axes import INK, MUTED, Figure, plain, positive

if TYPE_CHECKING:
    from largebatch.search.laws.batch_size.optima import BatchOptimum


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


def rate_optima(optima: Sequence["BatchOptimum"]) -> list[Figure]:
    """The best rate of each batch size with its interval."""
    shown = [
        Optimum(
            optimum.global_batch_size,
            optimum.learning_rate,
            optimum.learning_rate_low,
            optimum.learning_rate_high,
            optimum.edge is not None,
            f"best rate at batch {optimum.global_batch_size}: {format_number(optimum.learning_rate)}<br>90 % interval "
            f"{format_number(optimum.learning_rate_low)} to {format_number(optimum.learning_rate_high)}<br>less than "
            f"10 % more steps from {format_number(optimum.tolerated_low)} to {format_number(optimum.tolerated_high)}"
            + (
                f"<br>on the {optimum.edge} edge of what was tried: a better one may lie beyond" if optimum.edge else ""
            ),
        )
        for optimum in optima
        if positive([optimum.learning_rate])
    ]
    return optima_traces("best rate of a batch size", shown)
