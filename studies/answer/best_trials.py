"""The plan in words and in cells of text: what the page and the terminal say alike."""

import math
from typing import NamedTuple

from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.spaces.number_text import format_number as format_number  # imported from here, too

_UNITS = (("s", 1.0, 60.0), ("min", 60.0, 60.0), ("h", 3600.0, 24.0), ("d", 86400.0, math.inf))


class PlanTable(NamedTuple):
    """The plan as text: ``rows`` has one cell a column, ``knee`` is the index of the marked row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    knee: int | None


def _in_units(seconds: float) -> tuple[str, str]:
    """Number and unit, so that an interval can share the unit."""
    if seconds and seconds < 0.0995:
        return format_number(1e3 * seconds, 2), "ms"
    *shorter, (last_unit, last_length, _) = _UNITS
    for unit, length, limit in shorter:
        if round(seconds / length) < limit:
            return _two_digits(seconds / length), unit
    return _two_digits(seconds / last_length), last_unit


def _two_digits(number: float) -> str:
    return f"{number:.1f}" if number < 9.95 else f"{number:,.0f}"


def format_seconds(seconds: float) -> str:
    """A duration in two or three digits: 12 ms, 0.8 s, 12 s, 3.5 min, 2.1 h, 4.2 d."""
    if math.isnan(seconds):
        return "unknown"
    if math.isinf(seconds):
        return "unbounded"
    return " ".join(_in_units(seconds))


def format_seconds_interval(low: float, high: float) -> str:
    """``10 to 15 s``, with both units only where they differ."""
    if not math.isfinite(low):
        return "unknown"
    if not math.isfinite(high):
        return f"at least {format_seconds(low)}"
    (low_text, low_unit), (high_text, high_unit) = _in_units(low), _in_units(high)
    if low_unit == high_unit:
        return f"{high_text} {high_unit}" if low_text == high_text else f"{low_text} to {high_text} {high_unit}"
    return f"{low_text} {low_unit} to {high_text} {high_unit}"


def answer_sentence(plan: Plan) -> str:
    """The answer of a study in one or two plain sentences, made from the row of the knee or else the fastest."""
    if not plan.rows:
        return f"There is no plan yet to reach {plan.target}."
    row = answer_row(plan)
    rate = format_number(row.recipe.get("learning_rate"))
    interval = format_seconds_interval(row.seconds_low, row.seconds_high)
    sentence = (
        f"With {count(row.num_workers, 'worker')}: batch {row.global_batch_size}, learning rate {rate}, "
        f"about {format_seconds(row.seconds_to_target)} to {plan.target} (90 % interval {interval})"
        f"{_comparison(plan, row)}."
    )
    why = plan.knee_why.strip().rstrip(".")
    if plan.knee_num_workers is not None:
        beyond = f"Beyond {count(plan.knee_num_workers, 'worker')}, adding more pays little"
        return f"{sentence} {beyond}: {why}." if why else f"{sentence} {beyond}."
    return f"{sentence} {why[0].upper()}{why[1:]}." if why else sentence


def plan_notes(plan: Plan) -> list[str]:
    """Sentences beside the plan: the cheapest and the fastest, the deadline, and how well its laws foretell."""
    return [*choice_notes(plan), *withheld_notes(plan)]


def choice_notes(plan: Plan) -> list[str]:
    """The cheapest and the fastest, what ends before the deadline, and the worker counts that have no row."""
    choices = plan.choices()
    notes = [
        f"Fastest: {count(choices['fastest'], 'worker')}; fewest device-hours: {count(choices['cheapest'], 'worker')}."
    ]
    if plan.seconds_allowed is not None:
        allowed = format_seconds(plan.seconds_allowed)
        fewest, surely = choices["fewest_within"], choices["fewest_surely_within"]
        if fewest is None:
            notes.append(f"No number of workers that was asked ends within {allowed}.")
        else:
            sure = f"{surely} to be 95 % sure" if surely is not None else "none that is 95 % sure"
            notes.append(f"Fewest workers that end within {allowed}: {fewest} by the best guess, {sure}.")
    if plan.left_out:
        sizes = ", ".join(map(str, plan.left_out))
        notes.append(f"Measured and left out of the plan: batch {sizes}, for {plan.left_out_why}.")
    return [*notes, note] if (note := _unplanned_note(plan)) else notes


def _unplanned_note(plan: Plan) -> str:
    """Why worker counts that were asked have no row; empty where all have one."""
    if not plan.unplanned:
        return ""
    named, more = plan.unplanned[:8], len(plan.unplanned) - 8
    counts = ", ".join(map(str, named)) + (f" and {more:,} more counts of" if more > 0 else "")
    noun = "worker" if plan.unplanned == (1,) else "workers"
    return f"No row for {counts} {noun}: {plan.unplanned_why}."


def withheld_notes(plan: Plan) -> list[str]:
    """What was measured at the largest size beside what the laws of the rest say of it."""
    notes = []
    for found in plan.withheld.values():
        what = f"batch size {found.at}" if found.of == "global_batch_size" else count(found.at, "worker")
        number = format_seconds if found.of == "num_workers" else format_number
        notes.append(
            f"Checked by withholding {what}: predicted {number(found.predicted)} ({number(found.low)} to "
            f"{number(found.high)}), measured {number(found.measured)}, an error of {100 * found.error:+.0f} %."
        )
    return notes


def answer_row(plan: Plan) -> PlanRow:
    """The row that answers the study: the knee, or the fastest where the plan has none. The plan must have rows."""
    knee = [row for row in plan.rows if row.num_workers == plan.knee_num_workers]
    timed = [row for row in plan.rows if math.isfinite(row.seconds_to_target)]
    return knee[0] if knee else min(timed or plan.rows, key=lambda row: row.seconds_to_target)


def count(number: int, noun: str) -> str:
    """``one worker``, ``8 workers``."""
    return f"one {noun}" if number == 1 else f"{number:,} {noun}s"


def _comparison(plan: Plan, row: PlanRow) -> str:
    """How much faster than the row of fewest workers, which the plan's speed-ups refer to."""
    fewest = min(plan.rows, key=lambda other: other.num_workers)
    if row is fewest or not math.isfinite(row.speedup):
        return ""
    if row.speedup < 1.05:
        return f", no faster than {count(fewest.num_workers, 'worker')}"
    return f", {format_number(row.speedup, 2)} times faster than {count(fewest.num_workers, 'worker')}"


def plan_table(plan: Plan) -> PlanTable:
    """The plan's rows as text; a cost column only where a cost was given."""
    with_cost = any(row.cost is not None for row in plan.rows)
    columns = (
        *("workers", "global batch", "local batch", "learning rate", "steps", "step time", "time to target"),
        *("90 % interval", "speed-up", "efficiency", "device-hours"),
        *(("cost",) if with_cost else ()),
        "basis",
    )
    rows = tuple(_cells(row, with_cost) for row in plan.rows)
    knees = [index for index, row in enumerate(plan.rows) if row.num_workers == plan.knee_num_workers]
    return PlanTable(columns, rows, knees[0] if knees else None)


def _cells(row: PlanRow, with_cost: bool) -> tuple[str, ...]:
    return (
        f"{row.num_workers}",
        f"{row.global_batch_size}",
        f"{row.local_batch_size}",
        format_number(row.recipe.get("learning_rate")),
        format_number(row.steps),
        format_seconds(row.step_seconds),
        format_seconds(row.seconds_to_target),
        format_seconds_interval(row.seconds_low, row.seconds_high),
        format_number(row.speedup, 2),
        f"{format_number(100 * row.efficiency, 2)} %" if math.isfinite(row.efficiency) else "–",
        format_number(row.device_hours, 2),
        *((format_number(row.cost),) if with_cost else ()),
        "measured" if row.measured else "predicted",
    )
