"""The scaling in words and in cells of text: what the page and the terminal say alike."""

from typing import NamedTuple

from largebatch.studies.answer.best_trials import count, format_number, format_seconds, format_seconds_interval
from largebatch.studies.answer.law_text import link_words
from largebatch.studies.answer.scaling.scaling import Scaling, ScalingRow


class ScalingTable(NamedTuple):
    """The rows as text, one cell a column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def scaling_sentence(scaling: Scaling) -> str:
    """The answer: what the most measured workers bring, and what the most predicted ones would."""
    most = [row for row in scaling.rows if row.measured][-1]
    last = scaling.rows[-1]
    rate = f"{format_number(most.examples_per_second)} examples/s"
    where = f"Measured on {scaling.device}"
    if most.num_workers == 1:
        said = f"{where}: one worker trains {scaling.task} at {rate}, {scaling.local_batch_size} a step."
    else:
        said = (
            f"{where}: {count(most.num_workers, 'worker')} train {scaling.task} {times(most.speedup)} as fast as one "
            f"(efficiency {percent(most.efficiency)}), at {rate}."
        )
    if last.measured:
        return said
    basis = "Predicted" if scaling.law.synchronised else "Predicted from machines in general"
    return (
        f"{said} {basis}: {count(last.num_workers, 'worker')} like these, {times(last.speedup)} as fast as one "
        f"(90 % interval {format_number(last.speedup_low, 2)} to {format_number(last.speedup_high, 2)})."
    )


def scaling_notes(scaling: Scaling) -> list[str]:
    """What a reader must know to take the numbers for what they are."""
    links = link_words(scaling.law.links)
    notes = [
        f"Every worker takes {count(scaling.local_batch_size, 'example')} a step, so the global batch grows with the "
        "workers (weak scaling). Speed-ups are of examples a second; a training gains less wherever a larger batch "
        "takes more epochs.",
        f"How far to trust what is predicted: {scaling.law.reason}.",
        *([f"What joins the devices, measured: {links}."] if links else ()),
        _check_words(scaling),
        _target_words(scaling),
    ]
    larger = [row.num_workers for row in scaling.rows if row.global_batch_size > scaling.num_examples]
    if larger:
        notes.append(
            f"In the rows from {count(larger[0], 'worker')} on a step takes more than the {scaling.num_examples:,} "
            "examples of an epoch: read them as what the devices could do, not as a training that makes sense."
        )
    return notes


def _check_words(scaling: Scaling) -> str:
    held = scaling.withheld
    if held is None:
        return "No prediction could be checked here: that takes four measured numbers of workers, the largest withheld."
    return (
        f"Checked by withholding {count(held.at, 'worker')}: a step was predicted to take "
        f"{format_seconds(held.predicted)} ({format_seconds_interval(held.low, held.high)}) from the others, measured "
        f"{format_seconds(held.measured)}, an error of {100 * held.error:+.0f} %."
    )


def _target_words(scaling: Scaling) -> str:
    plan = scaling.plan
    if plan is None:
        return (
            f"Time to target is not known from speed alone. Run a study of {scaling.task} (largebatch run STUDY --out "
            f"DIR), then: largebatch benchmark {scaling.task} --study DIR."
        )
    missing = [row.num_workers for row in scaling.rows if row.seconds_to_target is None]
    left_out = f" It has no row for {', '.join(map(str, missing))} workers." if missing else ""
    return (
        f"Time to {plan.target} is that of the study {plan.study}: the best batch size for each number of workers, and "
        f"step times as the study measured them, which need not be those of this table.{left_out}"
    )


def scaling_table(scaling: Scaling) -> ScalingTable:
    """The rows as text; columns of the target only where a study tells it."""
    planned = scaling.plan is not None
    columns = (
        *("workers", "global batch", "step time", "examples/s", "epoch", "speed-up"),
        *("speed-up's interval", "efficiency"),
        *(("time to target", "90 % interval", "at batch") if planned else ()),
        "basis",
    )
    return ScalingTable(columns, tuple(_cells(row, planned) for row in scaling.rows))


def _cells(row: ScalingRow, planned: bool) -> tuple[str, ...]:
    target: tuple[str, ...] = ()
    if planned and row.seconds_to_target is not None:
        assert row.seconds_to_target_low is not None
        assert row.seconds_to_target_high is not None
        interval = format_seconds_interval(row.seconds_to_target_low, row.seconds_to_target_high)
        target = (format_seconds(row.seconds_to_target), interval, f"{row.planned_batch_size}")
    elif planned:
        target = ("–", "–", "–")
    alone = row.num_workers == 1
    speedups = f"{format_number(row.speedup_low, 2)} to {format_number(row.speedup_high, 2)}"
    return (
        f"{row.num_workers}",
        f"{row.global_batch_size}",
        format_seconds(row.step_seconds),
        format_number(row.examples_per_second),
        format_seconds(row.epoch_seconds),
        format_number(row.speedup, 2 if row.speedup < 10 else 3),
        "–" if alone else speedups,
        percent(row.efficiency),
        *target,
        "measured" if row.measured else "predicted",
    )


def percent(share: float) -> str:
    """``64 %``."""
    return f"{format_number(100 * share, 2)} %"


def times(factor: float) -> str:
    """``1.9 times``."""
    return f"{format_number(factor, 2 if factor < 10 else 3)} times"
