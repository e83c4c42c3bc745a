"""Between which evaluations the rows of a user's own numbers met their target, where they say so."""

import math
from collections.abc import Sequence

import numpy as np

from largebatch.search.laws.from_table import Passages
from largebatch.spaces.errors import UserError
from largebatch.spaces.passage_interval import PassageInterval
from largebatch.studies.answer.measurement_table import PASSAGE_COLUMNS, OwnRow
from largebatch.studies.answer.table_rows import Note, lines_of


def own_passages(rows: Sequence[OwnRow], unit: str, note: Note) -> Passages | None:
    """Of each row in steps, None where no row says anything; a row that says nothing counts as exact, and is noted.

    Raises:
        UserError: naming the line, if what a row says cannot be.
    """
    if not any(name in row.values for row in rows for name in PASSAGE_COLUMNS):
        return None
    silent = [row for row in rows if not row.censored and not any(name in row.values for name in PASSAGE_COLUMNS)]
    if silent:
        note(f"{lines_of(silent)}: no evaluation interval, which other rows have; the passage is taken as exact")
    found = [_passage(row, unit) for row in rows]
    return Passages(
        steps_R=np.array([one.high if one.is_bound else one.middle for one in found]),
        early_R=np.array([one.is_bound for one in found]),
        spread_R=np.array([one.log_spread for one in found]),
    )


def _passage(row: OwnRow, unit: str) -> PassageInterval:
    said = [name for name in PASSAGE_COLUMNS if name in row.values]
    if said and unit == "epochs":
        raise UserError(
            f"line {row.line}: {said[0]} cannot be compared with epochs, for nothing says how many examples one has; "
            "give `steps` or `examples` in their place"
        )
    batch = row.values["global_batch_size"]
    steps = row.values[unit] / (batch if unit == "examples" else 1.0)
    if row.censored or not said:
        return PassageInterval(steps, steps, steps)
    if said == ["evaluation_interval"]:
        low = max(steps - row.values["evaluation_interval"] / batch, 0.0)
        return PassageInterval(low, (low + steps) / 2, steps)
    if len(said) != 2 or "evaluation_interval" in said:
        got = " and ".join(said)
        raise UserError(f"line {row.line}: give both steps_low and steps_high, or evaluation_interval alone; got {got}")
    low, high = row.values["steps_low"], row.values["steps_high"]
    rounding = 1e-6 * high
    if not low - rounding <= steps <= high + rounding or not math.isfinite(high):
        raise UserError(
            f"line {row.line}: the steps to target must lie between steps_low and steps_high; got {low:g}, {steps:g} "
            f"and {high:g}"
        )
    return PassageInterval(low, steps, high)
