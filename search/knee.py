"""Where adding workers stops paying, and what stops it: statistics, communication, input, or a step's fixed cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.search.plan import PlanRow

KNEE_GAIN = math.log(1.5) / math.log(2)
"""Adding workers pays while doubling them takes at least a third off the time: of n times as many, a gain n^0.585."""
APART = 1.5
"""Rows are compared with the next that has at least so many times as many workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """``num_workers`` is None where adding workers still pays at the most that was asked."""

    num_workers: int | None
    cause: str | None
    """``statistics``, ``communication``, ``input`` or ``fixed cost``."""
    why: str


def find_knee(rows: Sequence[PlanRow], step_time: StepTimeLaw, largest_batch: int) -> Knee:
    """The last row before which each step to more workers paid, and what stops the next one."""
    for index, now in enumerate(rows):
        more = next((row for row in rows[index + 1 :] if row.num_workers >= APART * now.num_workers), None)
        if more is None:
            break
        gained = now.seconds_to_target / more.seconds_to_target
        if gained < (more.num_workers / now.num_workers) ** KNEE_GAIN:
            cause, words = _cause(now, more, step_time, largest_batch)
            head = f"{more.num_workers} workers are {gained:.2f} times as fast as {now.num_workers}"
            return Knee(num_workers=now.num_workers, cause=cause, why=f"{head}: {words}")
    why = f"adding workers still pays at {rows[-1].num_workers}, the most that was asked"
    return Knee(num_workers=None, cause=None, why=why)


def _cause(now: PlanRow, more: PlanRow, step_time: StepTimeLaw, largest_batch: int) -> tuple[str, str]:
    """What costs the most of the time that as many times more workers should have saved.

    Device-seconds to the target are examples times seconds an example; what makes either grow is a cause. Growth of the
    second is dealt to input, to synchronising, and to the fixed cost of a step on fewer examples.
    """
    before = step_time.middle_parts(now.num_workers, now.local_batch_size)
    after = step_time.middle_parts(more.num_workers, more.local_batch_size)
    sync_now, sync_more = (
        max(float((parts.seconds - parts.compute_seconds)[0, 0]), 0.0) / row.local_batch_size
        for parts, row in ((before, now), (after, more))
    )
    compute_now, compute_more = (
        float(parts.compute_seconds[0, 0]) / row.local_batch_size for parts, row in ((before, now), (after, more))
    )
    whole = float(after.seconds[0, 0]) / more.local_batch_size
    lost = {
        "statistics": math.log(more.examples / now.examples),
        "communication": (sync_more - sync_now) / whole,
        "fixed cost": (compute_more - compute_now) / whole,
    }
    cause = max(lost, key=lambda name: lost[name])
    if cause == "communication":
        if after.input_seconds[0, 0] >= after.seconds[0, 0]:
            return "input", "the input store does not feed examples any faster"
        share = 100 * sync_more / whole
        return cause, f"synchronising them takes {share:.0f} % of a step"
    if cause == "statistics":
        ratio, fewer = more.global_batch_size / now.global_batch_size, now.steps / more.steps
        return cause, f"a batch {ratio:.3g} times as large needs only {fewer:.2f} times fewer steps"
    words = "a step has a fixed cost that fewer examples each do not lower"
    if more.global_batch_size >= largest_batch:
        return cause, f"{words}, and the batch is already the largest that was measured"
    return cause, f"{words}, and larger batches save too few steps"
