"""Steps to target against batch size: trials, the minimum of each batch size, the law and what it says of the knee."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.answer.best_trials import format_number
from largebatch.studies.answer.trial_text import outcome, trial_words, varying_names
from largebatch.studies.views.report.figures.axes import (
    FAINT,
    INK,
    MUTED,
    Figure,
    figure_layout,
    law_traces,
    log_axis,
    measured_range,
    plain,
    positive,
    safe,
)
from largebatch.studies.views.report.figures.optima_traces import Optimum, optima_traces

if TYPE_CHECKING:
    from largebatch.search.laws.batch_size.optima import BatchOptimum
    from largebatch.search.laws.fit_laws import FittedLaws

_UNFINISHED = (Outcome.EXHAUSTED, Outcome.STOPPED)


def steps_figure(trials: Sequence[Trial], laws: "FittedLaws | None", planned_sizes: Sequence[int]) -> Figure:
    """Steps to target of every trial and batch size, with the law up to the largest planned batch size."""
    sizes = [trial.recipe.global_batch_size for trial in trials]
    span = (min([*sizes, *planned_sizes]), max([*sizes, *planned_sizes]))
    data = _trials(trials)
    floor = min(positive(trial.steps_to_target for trial in trials), default=1.0)
    if laws is not None:
        measured = [optimum.global_batch_size for optimum in laws.optima if positive([optimum.steps])]
        if span[0] < span[1]:
            fitted = measured_range(measured, sizes)
            data = law_traces(laws.steps, span, fitted, "steps") + data
        data += _guides(laws, span, floor)
        data += _optima(laws.optima)
    heights = [value for trace in data if trace.get("meta") is None for value in trace["y"]]
    # An unfinished trial far below the law tells nothing; one far above it tells of a bad recipe.
    heights += [max(value, floor) for trace in data if trace.get("meta") == "unfinished" for value in trace["y"]]
    layout = figure_layout(
        xaxis=log_axis([*sizes, *planned_sizes], "global batch size (examples a step)", binary=True),
        yaxis=log_axis(heights, "steps to target", padding=1.35),
        height=520,
        annotations=_labels(laws, [*sizes, *planned_sizes]) if laws is not None else [],
    )
    return {"data": data, "layout": layout}


def _trials(trials: Sequence[Trial]) -> list[Figure]:
    """Trials, faint: a dot where the target was reached, an arrow from where it would have taken more steps."""
    names = varying_names(trials)
    reached = [trial for trial in trials if positive([trial.steps_to_target])]
    unfinished = [trial for trial in trials if outcome(trial) in _UNFINISHED and trial.ending and trial.ending.step]
    steps = {trial.number: trial.steps_to_target for trial in reached}
    steps |= {trial.number: float(trial.ending.step) for trial in unfinished if trial.ending}
    kinds = [("a trial", "circle", reached), ("a trial that would take more steps", "triangle-up", unfinished)]
    return [
        {
            "type": "scatter",
            "name": name,
            "mode": "markers",
            "x": [trial.recipe.global_batch_size for trial in chosen],
            "y": plain(steps[trial.number] for trial in chosen),
            "marker": {"symbol": symbol, "size": 8, "color": FAINT},
            "meta": "unfinished" if chosen is unfinished else None,
            "hovertext": [safe(trial_words(trial, names)).replace("\n", "<br>") for trial in chosen],
            "hoverinfo": "text",
        }
        for name, symbol, chosen in kinds
        if chosen
    ]


def _numbers(laws: "FittedLaws") -> tuple[float | None, float | None]:
    """``S_min`` and ``B_crit`` where the law has them."""
    return laws.steps.parameters.get("S_min"), laws.steps.parameters.get("B_crit")


def _guides(laws: "FittedLaws", span: tuple[int, int], floor: float) -> list[Figure]:
    """The law's two numbers as lines, and the dotted line along which twice the batch takes half the steps."""
    minimum, critical = _numbers(laws)
    best = [optimum for optimum in laws.optima if positive([optimum.steps])]
    guides = []
    if minimum and minimum > 0:
        guides.append(_guide((span[0] / 2, span[1] * 2), (minimum, minimum), "dashdot", "S_min"))
    if critical and critical > 0:
        guides.append(_guide((critical, critical), (floor / 1e3, floor * 1e6), "dashdot", "B_crit"))
    if (minimum and critical) or best:
        examples = minimum * critical if minimum and critical else best[0].steps * best[0].global_batch_size
        ends = (span[0] / 2, max(span[1], examples / floor) * 2)
        guides.append(_guide(ends, (examples / ends[0], examples / ends[1]), "dot", "perfect scaling"))
    return guides


def _guide(x: tuple[float, float], y: tuple[float, float], dash: str, name: str) -> Figure:
    """A thin line; ``meta`` keeps it out of the choice of the axis range."""
    return {
        "type": "scatter",
        "name": name,
        "meta": "guide",
        "mode": "lines",
        "x": plain(x),
        "y": plain(y),
        "line": {"color": MUTED if dash == "dot" else "var(--vermillion)", "width": 1.5, "dash": dash},
        "hoverinfo": "skip",
        "showlegend": dash == "dot",
    }


def _labels(laws: "FittedLaws", sizes: Sequence[int]) -> list[Figure]:
    """The names of the lines, at their ends. Annotations of a log axis stand at logarithms."""
    minimum, critical = _numbers(laws)
    style = {"showarrow": False, "bgcolor": "var(--paper)", "borderpad": 1, "font": {"color": "var(--vermillion)"}}
    labels: list[Figure] = []
    if minimum and minimum > 0:
        text = f"S_min: {format_number(minimum)} steps"
        place = {"xref": "paper", "x": 0.01, "xanchor": "left", "y": math.log10(minimum), "yanchor": "bottom"}
        labels.append({"text": text, **place, "yshift": 2, **style})
    if critical and min(sizes) <= critical <= max(sizes):
        text = f"B_crit: {format_number(critical)} examples"
        is_left = critical**2 < min(sizes) * max(sizes)
        place = {"yref": "paper", "y": 0.99, "yanchor": "top", "x": math.log10(critical)}
        side = {"xanchor": "left", "xshift": 3} if is_left else {"xanchor": "right", "xshift": -3}
        labels.append({"text": text, **place, **side, **style})
    return labels


def _optima(optima: Sequence["BatchOptimum"]) -> list[Figure]:
    """The minimum over learning rates at each batch size; an arrow up where only a lower bound is known."""
    known = [optimum for optimum in optima if positive([optimum.steps]) and math.isfinite(optimum.steps_high)]
    bounds = [optimum for optimum in optima if optimum not in known and positive([optimum.steps_low])]
    shown = [
        Optimum(o.global_batch_size, o.steps, o.steps_low, o.steps_high, o.edge is not None, _words(o)) for o in known
    ]
    traces = optima_traces("fewest steps of a batch size", shown)
    if bounds:
        traces.append(
            {
                "type": "scatter",
                "name": "at least so many (censored)",
                "mode": "markers",
                "x": [optimum.global_batch_size for optimum in bounds],
                "y": plain(optimum.steps_low for optimum in bounds),
                "marker": {"symbol": "triangle-up", "size": 14, "color": INK},
                "hovertext": [_words(optimum) for optimum in bounds],
                "hoverinfo": "text",
            }
        )
    return traces


def _words(optimum: "BatchOptimum") -> str:
    low, high = format_number(optimum.steps_low), format_number(optimum.steps_high)
    interval = f"90 % interval {low} to {high}" if math.isfinite(optimum.steps_high) else f"at least {low}"
    if optimum.is_bound:
        interval = "at most: met before the first evaluation"
    return (
        f"batch {optimum.global_batch_size}: {format_number(optimum.steps)} steps, {interval}<br>"
        f"{optimum.num_reached} of {optimum.num_trials} trials reached the target"
    )
