"""From laws to a plan: time(N, B) = steps(B) x step_seconds(B / N, N), the best B for each N."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from largebatch.search.laws.fitting import FittedLaws
from largebatch.search.laws.law import INTERVAL, Array
from largebatch.search.laws.step_time_law import StepTimeLaw
from largebatch.search.laws.valley import BatchOptimum
from largebatch.search.plan import Plan, PlanRow
from largebatch.spaces.step_time_profile import StepTimeProfile
from largebatch.spaces.trial import Trial
from largebatch.spaces.user_mistake import UserMistake

KNEE_EFFICIENCY = 0.5
"""Adding workers pays while each added share of workers brings at least this share of its time back."""


def make_plan(
    *,
    study: str,
    target: str,
    trials: Sequence[Trial],
    laws: FittedLaws,
    workers: Sequence[int],
    profile: StepTimeProfile | None,
    device_hour_cost: float | None = None,
) -> Plan:
    """One row for each worker count that some batch size can be dealt to in whole groups.

    Raises:
        UserMistake: if step times were not measured, or no worker count has a row.
    """
    if profile is None or laws.step_seconds is None:
        raise UserMistake("step times were not measured yet: let `run` end, it times them after the trials")
    rows: list[PlanRow] = []
    for count in sorted(workers):
        choices = [
            _row(count, index, trials, laws, laws.step_seconds, profile)
            for index, optimum in enumerate(laws.optima)
            if optimum.best_trial is not None and trials[optimum.best_trial].recipe.num_groups % count == 0
        ]
        if choices:
            row = min(choices, key=lambda choice: choice.seconds_to_target)
            rows.append(_compared(row, rows[0] if rows else row, device_hour_cost))
    if not rows:
        raise UserMistake(f"no batch size that reached the target can be divided among any of {list(workers)} workers")
    knee, why = find_knee(rows, laws)
    return Plan(
        study=study,
        target=target,
        laws={"steps": laws.steps, "learning_rate": laws.learning_rate, "step_seconds": laws.step_seconds},
        rows=tuple(rows),
        knee_num_workers=knee,
        knee_why=why,
    )


def find_knee(rows: Sequence[PlanRow], laws: FittedLaws) -> tuple[int | None, str]:
    """The last row before which each step to more workers paid, and what stops the next one."""
    for now, more in pairwise(rows):
        gained = now.seconds_to_target / more.seconds_to_target
        asked = more.num_workers / now.num_workers
        if gained < 1 + KNEE_EFFICIENCY * (asked - 1):
            return now.num_workers, _why(now, more, gained, laws)
    return None, f"adding workers still pays at {rows[-1].num_workers}, the most that was asked"


def _why(now: PlanRow, more: PlanRow, gained: float, laws: FittedLaws) -> str:
    """What eats the gain of more workers: synchronisation, the steps' floor, or the fixed cost of a small batch."""
    assert laws.step_seconds is not None
    sync_share = laws.step_seconds.synchronising_seconds(more.num_workers) / more.step_seconds
    steps_gained = now.steps / more.steps
    head = f"{more.num_workers} workers are {gained:.2f} times as fast as {now.num_workers}: "
    if sync_share > 0.4:
        return f"{head}synchronising them takes {100 * sync_share:.0f} % of a step"
    if more.global_batch_size > now.global_batch_size:
        ratio = more.global_batch_size / now.global_batch_size
        return f"{head}a batch {ratio:.0f} times as large needs only {steps_gained:.2f} times fewer steps"
    if more.global_batch_size >= max(optimum.global_batch_size for optimum in laws.optima):
        return f"{head}the batch is already the largest of the space, and a step on fewer examples each hardly shrinks"
    return f"{head}a step has a fixed cost that fewer examples each do not lower, and larger batches save too few steps"


def _row(
    num_workers: int, index: int, trials: Sequence[Trial], laws: FittedLaws, step_time: StepTimeLaw,
    profile: StepTimeProfile,
) -> PlanRow:  # fmt: skip
    optimum = laws.optima[index]
    size = optimum.global_batch_size
    local = size // num_workers
    steps, steps_D = _steps(optimum, index, laws)
    seconds = step_time.predict(num_workers, local)
    seconds_D = step_time.draws(num_workers, local)
    value = float(seconds.value)
    time_low, time_high = np.quantile(steps_D * seconds_D, INTERVAL)
    steps_low, steps_high = np.quantile(steps_D, INTERVAL)
    timed = {time.num_workers for time in profile.steps} | {1}
    return PlanRow(
        num_workers=num_workers, global_batch_size=size, local_batch_size=local,
        recipe=_recipe(optimum, trials, laws, num_workers),
        steps=steps, steps_low=min(float(steps_low), steps), steps_high=max(float(steps_high), steps),
        examples=steps * size,
        step_seconds=value, step_seconds_low=float(seconds.low), step_seconds_high=float(seconds.high),
        seconds_to_target=steps * value,
        seconds_low=min(float(time_low), steps * value), seconds_high=max(float(time_high), steps * value),
        speedup=1.0, efficiency=1.0, device_hours=steps * value * num_workers / 3600, cost=None,
        measured=num_workers in timed,
    )  # fmt: skip


def _steps(optimum: BatchOptimum, index: int, laws: FittedLaws) -> tuple[float, Array]:
    """Steps at a batch size with their draws: by the law where there is one, else by its own valley."""
    if laws.steps.verdict != "no-law":
        size = float(optimum.global_batch_size)
        return float(laws.steps.predict(size).value), laws.steps.draws(size)
    draws = laws.valley.steps_DK[:, index]
    return optimum.steps, np.where(np.isfinite(draws), draws, optimum.steps)


def _recipe(optimum: BatchOptimum, trials: Sequence[Trial], laws: FittedLaws, num_workers: int) -> dict[str, Any]:
    """The best trial's recipe at this batch size, with the law's learning rate where there is one."""
    assert optimum.best_trial is not None
    recipe = trials[optimum.best_trial].recipe
    rate = recipe.learning_rate
    if laws.learning_rate.verdict != "no-law":
        rate = float(laws.learning_rate.predict(float(optimum.global_batch_size)).value)
        if recipe.has_momentum:  # the law holds at the momentum of its trials: keep the effective rate
            rate *= (1 - recipe.momentum) / laws.valley.damping
    return recipe.model_copy(update={"learning_rate": rate, "num_workers": num_workers}).model_dump()


def _compared(row: PlanRow, first: PlanRow, device_hour_cost: float | None) -> PlanRow:
    speedup = first.seconds_to_target / row.seconds_to_target
    return replace(
        row,
        speedup=speedup,
        efficiency=speedup * first.num_workers / row.num_workers,
        cost=None if device_hour_cost is None else device_hour_cost * row.device_hours,
    )
