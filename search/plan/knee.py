"""Where adding workers stops paying, and what stops it: statistics, communication, input, or a step's fixed cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from largebatch.search.laws.law import Array
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.search.plan.plan import PlanRow
from largebatch.spaces.number_text import format_number

KNEE_GAIN = math.log(1.5) / math.log(2)
"""Adding workers pays while doubling them takes at least a third off the time: of n times as many, a gain n^0.585."""
APART = 1.5
"""Rows are compared with the next that has at least so many times as many workers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knee:
    """``num_workers`` is None where adding workers still pays at the most that the plan has, or nothing tells."""

    num_workers: int | None
    cause: str | None
    """``statistics``, ``communication``, ``input`` or ``fixed cost``."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Batch sizes that some worker count may use, and the best guess of the steps at each."""

    batch_C: Array
    steps_C: Array


def find_knee(
    rows: Sequence[PlanRow], step_time: StepTimeLaw, candidates: Callable[[int], Candidates], largest_batch: int
) -> Knee:
    """The last row before which each step to more workers paid, and what stops the next one."""
    for index, now in enumerate(rows):
        more = next((row for row in rows[index + 1 :] if row.num_workers >= APART * now.num_workers), None)
        if more is None:
            break
        gained = now.seconds_to_target / more.seconds_to_target
        if gained < (more.num_workers / now.num_workers) ** KNEE_GAIN:
            cause = _cause(now, more, step_time, candidates(more.num_workers))
            head = f"{more.num_workers} workers are {gained:.2f} times as fast as {now.num_workers}"
            why = f"{head}: {_words(cause, now, more, step_time, largest_batch)}"
            return Knee(num_workers=now.num_workers, cause=cause, why=why)
    most = rows[-1].num_workers
    if most < APART * rows[0].num_workers:
        why = f"whether more workers pay is not told by a plan for {_counts(rows)}"
    else:
        why = f"adding workers still pays at {most}, the most that the plan has"
    return Knee(num_workers=None, cause=None, why=why)


def _counts(rows: Sequence[PlanRow]) -> str:
    if rows[-1].num_workers == 1:
        return "one worker alone"
    return f"{' and '.join(str(row.num_workers) for row in rows)} workers alone"


def _cause(now: PlanRow, more: PlanRow, step_time: StepTimeLaw, candidates: Candidates) -> str:
    """What, were it absent, would make the larger number of workers fastest, each at its own best batch size."""
    local_C = candidates.batch_C / more.num_workers
    workers_C = np.full(len(local_C), more.num_workers)
    parts = step_time.middle_parts(workers_C, local_C)
    compute, sync, feeding, whole = (
        part[0] for part in (parts.compute_seconds, parts.sync_seconds, parts.input_seconds, parts.seconds)
    )
    # The fixed cost is what a step on next to no examples still takes.
    fixed = step_time.middle_parts(workers_C, np.full(len(local_C), 1e-6)).compute_seconds[0]
    without = {
        "statistics": whole * now.examples / candidates.batch_C,
        "communication": np.maximum(compute, feeding) * candidates.steps_C,
        "input": np.where(feeding < whole, whole, np.maximum(compute, sync)) * candidates.steps_C,
        "fixed cost": np.maximum(whole - fixed, 1e-3 * whole) * candidates.steps_C,
    }
    return min(without, key=lambda cause: float(without[cause].min()))


def _words(cause: str, now: PlanRow, more: PlanRow, step_time: StepTimeLaw, largest_batch: int) -> str:
    if cause == "communication":
        parts = step_time.middle_parts(more.num_workers, more.local_batch_size)
        share = 100 * max(1 - float((parts.compute_seconds / parts.seconds)[0, 0]), 0.0)
        return f"synchronising them takes {share:.0f} % of a step"
    if cause == "input":
        return "the store that all of them read from does not feed examples any faster"
    if cause == "statistics":
        ratio, fewer = more.global_batch_size / now.global_batch_size, now.steps / more.steps
        if ratio == 1:
            return "more examples a step would save too few steps"
        return f"a batch {format_number(ratio)} times as large needs only {fewer:.2f} times fewer steps"
    words = "a step has a fixed cost that fewer examples each do not lower"
    if more.global_batch_size >= largest_batch:
        return f"{words}, and the batch is already the largest that was measured"
    return f"{words}, and larger batches save too few steps"
