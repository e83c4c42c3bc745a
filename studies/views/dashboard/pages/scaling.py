"""Scaling: time, speed-up, efficiency and cost against workers; deadline, price and network move the plan at once."""

import math
from collections.abc import Mapping
from typing import Any

from dash import html

from largebatch.search.laws.step_time.interconnects import INTERCONNECTS, Network
from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.studies.answer.best_trials import (
    answer_sentence,
    count,
    format_number,
    format_seconds,
    format_seconds_interval,
    plan_notes,
)
from largebatch.studies.views.dashboard import parts
from largebatch.studies.views.dashboard.figures.deadline import with_deadline
from largebatch.studies.views.dashboard.page import Page, Scene, Shown
from largebatch.studies.views.dashboard.pages.reading import heading, problem, read_plan
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy
from largebatch.studies.views.report.figures.axes import positive
from largebatch.studies.views.report.figures.cost_figure import cost_figure
from largebatch.studies.views.report.figures.workers import workers_figure
from largebatch.studies.views.report.tables import plan_html

MOST_PRICE = 20
_DURATIONS = {
    0.01: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36_000: "10 h",
    345_600: "4 d", 3_456_000: "40 d", 34_560_000: "400 d",
}  # fmt: skip
_NODES = {"": "all alike", **{str(number): str(number) for number in (1, 2, 4, 8, 16)}}


def _layout(scene: Scene, query: Mapping[str, str]) -> list[Any]:
    assert scene.live is not None
    _, plan, _ = read_plan(scene.live)
    marks = _deadline_marks(plan)
    networks = {"": "as measured here", **{name: name for name in INTERCONNECTS}}
    return [
        *heading(scene.live.snapshot, "Scaling"),
        parts.controls(
            parts.slider("deadline", "Deadline", marks, query, max(marks)),
            parts.slider("price", "Price of a device-hour", _price_marks(), query, 0),
            parts.select("interconnect", "Interconnect", networks, query),
            parts.select("nodes", "Workers per node", _NODES, query),
        ),
        parts.words("choice"),
        parts.plot(
            "workers", "Time and efficiency", "Filled points are measured, open ones predicted; 90 % intervals."
        ),
        parts.plot("cost", "Speed-up and cost"),
        html.Section([html.H2("The plan"), parts.words("plan")]),
    ]


def _deadline_marks(plan: Plan | None) -> dict[float, str]:
    """Logarithms of seconds from the shortest to the longest time of the plan; the last is no deadline."""
    rows = plan.rows if plan is not None else ()
    low = min(positive(row.seconds_low for row in rows), default=1.0)
    high = max(positive(row.seconds_high for row in rows), default=3.6e5)
    inner = {math.log10(length): words for length, words in _DURATIONS.items() if low / 10 < length < high * 10}
    return {**{round(at, 2): words for at, words in inner.items()}, round(max(inner) + 0.7, 2): "none"}


def _price_marks() -> dict[float, str]:
    return {at: str(at) if at else "none" for at in range(0, MOST_PRICE + 1, 5)}


def _show(live: LiveStudy, scene: Scene, choices: Mapping[str, Any]) -> Shown:
    del scene
    interconnect, nodes = choices.get("interconnect"), choices.get("nodes")
    network = Network(
        interconnect=interconnect if interconnect in INTERCONNECTS else None,
        workers_per_node=int(nodes) if nodes and nodes in _NODES else None,
    )
    price = max(0.0, _number(choices.get("price")) or 0.0)
    _, plan, why = read_plan(live, network, device_hour_cost=price or None)
    if plan is None:
        return Shown(words={"problem": problem(live.snapshot), "choice": parts.note(why, problem=True)})
    deadline = _number(choices.get("deadline"))
    marks = _deadline_marks(plan)
    allowed = 10 ** max(deadline, min(marks)) if deadline is not None and deadline < max(marks) - 1e-6 else None
    timed = bool(positive(row.seconds_to_target for row in plan.rows))
    return Shown(
        figures={
            "workers": with_deadline(workers_figure(plan), allowed) if timed else None,
            "cost": cost_figure(plan) if timed else None,
        },
        words={
            "problem": problem(live.snapshot),
            "choice": _choice(plan, allowed),
            "plan": [
                *parts.from_html(plan_html(plan)),
                html.Ul([html.Li(text) for text in plan_notes(plan)], className="note"),
            ],
        },
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _choice(plan: Plan, allowed: float | None) -> Any:
    """The sentence of the plan; with a deadline, of the fewest workers that keep it."""
    if allowed is None:
        return parts.note(answer_sentence(plan))
    sure = [row for row in plan.rows if row.seconds_high <= allowed]
    likely = [row for row in plan.rows if row.seconds_to_target <= allowed]
    within = format_seconds(allowed)
    if not likely:
        fastest = min(plan.rows, key=lambda row: row.seconds_to_target)
        words = f"No number of workers that was asked ends within {within}; the fastest is {_words(fastest)}."
        return parts.note(words, problem=True)
    if not sure:
        return parts.note(f"Within {within}, but not 95 % sure: {_words(likely[0])}. None that was asked is surer.")
    words = f"Within {within}, 95 % sure: {_words(sure[0])}."
    if likely[0] is not sure[0]:
        words += f" By the best guess {count(likely[0].num_workers, 'worker')} would do."
    return parts.note(words)


def _words(row: PlanRow) -> str:
    cost = "" if row.cost is None else f", cost {format_number(row.cost)}"
    return (
        f"{count(row.num_workers, 'worker')}, batch {row.global_batch_size}, learning rate "
        f"{format_number(row.recipe.get('learning_rate'))}: {format_seconds(row.seconds_to_target)} "
        f"(90 % interval {format_seconds_interval(row.seconds_low, row.seconds_high)}), "
        f"{format_number(row.device_hours, 2)} device-hours{cost}"
    )


PAGE = Page(name="scaling", title="Scaling", layout=_layout, show=_show)
