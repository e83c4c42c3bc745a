"""From laws to a plan: time(N, B) = steps(B) x step_seconds(B / N, N), the best B for each N.

Notation: W worker counts, C candidate batch sizes of each, D draws.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from largebatch.search.laws.batch_size.optima import BatchOptimum
from largebatch.search.laws.batch_size.other_laws import apply_laws
from largebatch.search.laws.fit_laws import FittedLaws
from largebatch.search.laws.law import INTERVAL, Array
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.search.plan.dealing import Dealing, best_batches, dealing_of, left_out
from largebatch.search.plan.knee import Candidates, find_knee
from largebatch.search.plan.next_measurement import next_measurements
from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.spaces.errors import UserError
from largebatch.spaces.space import MAX_EXTRAPOLATION
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.trial import Trial

NUM_CANDIDATES, ROUNDS = 48, 3
"""Batch sizes that are compared for a worker count, each round between the neighbours of the last one's best."""
NEARLY = 1.01
"""A measured batch size is preferred where it takes at most this many times the time of the best."""


def make_plan(
    *,
    study: str,
    target: str,
    trials: Sequence[Trial],
    laws: FittedLaws,
    workers: Sequence[int],
    profile: StepTimeProfile | None,
    device_hour_cost: float | None = None,
    seconds_allowed: float | None = None,
) -> Plan:
    """One row for each worker count that some batch size can be dealt to in whole groups.

    Raises:
        UserError: if step times were not measured, or no worker count has a row.
    """
    if profile is None or laws.step_seconds is None:
        raise UserError("step times were not measured yet: let `run` end, it times them after the trials")
    asked = sorted(set(workers))
    dealing = dealing_of(laws, _sizes(laws), profile.has_batch_statistics)
    counts, sizes = _choose(np.array(asked), laws, laws.step_seconds, dealing)
    if not len(counts):
        raise UserError(
            f"no batch size that reached the target can be divided among any of {list(workers)[:8]} workers in "
            f"{dealing.words()}; ask for fewer workers, or search larger batch sizes"
        )
    unplanned = tuple(sorted(set(asked) - set(counts.tolist())))
    unused = left_out(dealing, counts.tolist())
    rows = _rows(counts, sizes, trials, laws, laws.step_seconds, profile, dealing)
    first = rows[0]
    rows = [_compared(row, first, device_hour_cost) for row in rows]
    knee = find_knee(rows, laws.step_seconds, lambda count: _candidates(count, laws, dealing), max(_sizes(laws)))
    return Plan(
        study=study,
        target=target,
        laws={
            "steps": laws.steps,
            "learning_rate": laws.learning_rate,
            **laws.others,
            "step_seconds": laws.step_seconds,
        },
        rows=tuple(rows),
        knee_num_workers=knee.num_workers,
        knee_why=knee.why,
        knee_cause=knee.cause,
        withheld=laws.withheld,
        next_measurements=tuple(next_measurements(rows, laws, laws.step_seconds)),
        seconds_allowed=seconds_allowed,
        unplanned=unplanned,
        unplanned_why=_why_unplanned(laws, dealing) if unplanned else "",
        left_out=tuple(unused),
        left_out_why=f"no worker count of the plan deals them in {dealing.words()}" if unused else "",
    )


def _why_unplanned(laws: FittedLaws, dealing: Dealing) -> str:
    groups, sizes = dealing.words(), _sizes(laws)
    if laws.steps.verdict == "no-law":
        known = ", ".join(map(str, sizes))
        none = f"no batch size that reached the target ({known}) is dealt to them in {groups}"
        return f"there is no law of steps, and {none}"
    largest = max(sizes)
    return f"a batch of {groups} is more than {MAX_EXTRAPOLATION} times the largest that reached the target ({largest})"


def _candidates(num_workers: int, laws: FittedLaws, dealing: Dealing) -> Candidates:
    sizes = np.array(_sizes(laws), dtype=float)
    if laws.steps.verdict == "no-law":
        steps = {optimum.global_batch_size: optimum.steps for optimum in laws.optima}
        return Candidates(batch_C=sizes, steps_C=np.array([steps[int(size)] for size in sizes]))
    low = max(float(sizes.min()), float(num_workers * dealing.groups.min()))
    batch_C = np.geomspace(low, max(low, float(sizes.max())), NUM_CANDIDATES)
    return Candidates(batch_C=batch_C, steps_C=laws.steps.predict(batch_C).value)


def _sizes(laws: FittedLaws) -> list[int]:
    """Batch sizes that reached the target; without a law, those whose steps are known, and not only a bound of them."""
    is_lawless = laws.steps.verdict == "no-law"
    return [o.global_batch_size for o in laws.optima if o.reached and not (is_lawless and o.is_bound)]


def _choose(
    workers_W: np.ndarray, laws: FittedLaws, step_time: StepTimeLaw, dealing: Dealing
) -> tuple[np.ndarray, np.ndarray]:
    """The worker counts that can be planned, and the batch size of each."""
    sizes, whole_WK = dealing.size_K, dealing.whole(workers_W)
    if laws.steps.verdict == "no-law":  # then only what was measured can be planned
        table = [(n, sizes[whole_K]) for n, whole_K in zip(workers_W.tolist(), whole_WK, strict=True)]
        table = [(n, divided) for n, divided in table if len(divided)]
        chosen = []
        for n, divided in table:
            steps = np.array([o.steps for o in laws.optima if o.global_batch_size in divided])
            alone = step_time.middle_parts(np.full(len(divided), n), divided / n).seconds
            chosen.append(divided[np.argmin(steps * alone)])
        return np.array([n for n, _ in table], dtype=int), np.array(chosen, dtype=int)
    most_units = MAX_EXTRAPOLATION * sizes.max() // dealing.norm_K.min()
    reachable = (workers_W <= most_units) | whole_WK.any(axis=1)
    workers_W, whole_WK = workers_W[reachable], whole_WK[reachable]
    if not len(workers_W):
        return workers_W, workers_W
    most = max(float(sizes.max()), float(workers_W.max() * dealing.norm_K.max()))
    seconds = _Seconds(laws, step_time, most)
    chosen_W, least_W = best_batches(dealing, workers_W, seconds, NUM_CANDIDATES, ROUNDS)
    least_W = np.where(chosen_W > sizes.max(), np.inf, least_W)  # what was measured comes before what lies beyond
    measured_WK = np.broadcast_to(sizes, (len(workers_W), len(sizes))).astype(float)
    seconds_WK = np.where(whole_WK, seconds(workers_W, measured_WK), np.inf)
    place_W = np.argmin(seconds_WK, axis=1)
    nearest_W = seconds_WK[np.arange(len(workers_W)), place_W]
    nearly_W = np.isfinite(nearest_W) & (nearest_W <= NEARLY * least_W)
    batch_W = np.where(nearly_W, sizes[place_W], chosen_W).astype(int)
    return workers_W[batch_W > 0], batch_W[batch_W > 0]


class _Seconds:
    """Best guesses of seconds to target: the steps' law on a grid, for it is asked of very many batch sizes."""

    def __init__(self, laws: FittedLaws, step_time: StepTimeLaw, most: float) -> None:
        self.step_time = step_time
        grid = np.geomspace(min(_sizes(laws)), most * 1.001, 400)
        self.log_grid, self.log_steps = np.log(grid), np.log(laws.steps.predict(grid).value)

    def __call__(self, workers_W: np.ndarray, batch_WC: Array) -> Array:
        steps = np.exp(np.interp(np.log(batch_WC), self.log_grid, self.log_steps))
        workers_WC = np.broadcast_to(workers_W[:, None], batch_WC.shape)
        parts = self.step_time.middle_parts(workers_WC.reshape(-1), (batch_WC / workers_WC).reshape(-1))
        return np.asarray(steps * parts.seconds.reshape(batch_WC.shape))


def _rows(
    workers_W: np.ndarray, sizes_W: np.ndarray, trials: Sequence[Trial], laws: FittedLaws, step_time: StepTimeLaw,
    profile: StepTimeProfile, dealing: Dealing,
) -> list[PlanRow]:  # fmt: skip
    local_W = sizes_W // workers_W
    seconds_DW = step_time.draws(workers_W, local_W)
    steps_DW = _steps_draws(sizes_W, laws, len(seconds_DW))
    single_D = np.exp(laws.found.valley.noise * np.random.default_rng(0).standard_normal(len(seconds_DW)))
    quantiles = (INTERVAL[0], 0.5, INTERVAL[1])
    steps_3W, seconds_3W = np.quantile(steps_DW, quantiles, axis=0), np.quantile(seconds_DW, quantiles, axis=0)
    time_2W = np.quantile(steps_DW * seconds_DW * single_D[:, None], INTERVAL, axis=0)
    rate_W = None if laws.learning_rate.verdict == "no-law" else laws.learning_rate.predict(sizes_W).value
    timed, tried = {time.num_workers for time in profile.steps} | {1}, set(_sizes(laws))
    rates = [None] * len(sizes_W) if rate_W is None else rate_W.tolist()
    recipes = [
        _recipe(size, count, trials, laws, rate, dealing)
        for size, count, rate in zip(sizes_W.tolist(), workers_W.tolist(), rates, strict=True)
    ]
    rows = []
    for w, (count, size) in enumerate(zip(workers_W.tolist(), sizes_W.tolist(), strict=True)):
        steps, seconds, local = float(steps_3W[1, w]), float(seconds_3W[1, w]), int(local_W[w])
        rows.append(
            PlanRow(
                num_workers=count, global_batch_size=size, local_batch_size=local,
                recipe=recipes[w],
                steps=steps, steps_low=float(steps_3W[0, w]), steps_high=float(steps_3W[2, w]),
                examples=steps * size,
                step_seconds=seconds, step_seconds_low=float(seconds_3W[0, w]),
                step_seconds_high=float(seconds_3W[2, w]),
                seconds_to_target=steps * seconds,
                seconds_low=min(float(time_2W[0, w]), steps * seconds),
                seconds_high=max(float(time_2W[1, w]), steps * seconds),
                speedup=1.0, efficiency=1.0, device_hours=steps * seconds * count / 3600, cost=None,
                measured=count in timed and size in tried,
                tolerated_learning_rates=_tolerated(size, recipes[w]["learning_rate"], laws),
                micro_batch_size=min(local, profile.micro_batch_size) if profile.micro_batch_size else None,
            )
        )  # fmt: skip
    return rows


def _steps_draws(sizes_W: np.ndarray, laws: FittedLaws, num_draws: int) -> Array:
    """Draws of the steps at batch sizes: by the law where there is one, else by the sizes' own valleys."""
    unique, place_W = np.unique(sizes_W, return_inverse=True)
    if laws.steps.verdict != "no-law":
        draws_DU = laws.steps.draws(unique)
    else:
        known = [optimum.global_batch_size for optimum in laws.optima]
        draws_DU = np.exp(laws.found.valley.floor_DG[:, [known.index(size) for size in unique.tolist()]])
    return np.asarray(draws_DU[np.arange(num_draws) % len(draws_DU)][:, place_W])


def _recipe(
    size: int,
    num_workers: int,
    trials: Sequence[Trial],
    laws: FittedLaws,
    law_rate: float | None,
    dealing: Dealing,
) -> dict[str, Any]:
    """The best trial's recipe at the nearest measured batch size, with the law's learning rate where there is one."""
    nearest = _nearest(size, laws)
    assert nearest.best_trial is not None
    recipe = next(trial for trial in trials if trial.number == nearest.best_trial).recipe
    recipe = apply_laws(recipe, laws.others, size)
    rate = recipe.learning_rate
    if law_rate is not None:
        rate = law_rate
        if recipe.has_momentum:  # the law holds at the momentum of its trials: keep the effective rate
            rate *= (1 - recipe.momentum) / laws.found.damping
    changed = {
        "learning_rate": rate, "num_workers": num_workers, "global_batch_size": size,
        "norm_batch_size": dealing.norm_batch_size(recipe, num_workers, size),
    }  # fmt: skip
    return recipe.model_copy(update=changed).model_dump()


def _tolerated(size: int, rate: float, laws: FittedLaws) -> tuple[float, float]:
    """The range of rates of the nearest measured batch size, moved to the planned rate."""
    nearest = _nearest(size, laws)
    return (
        rate * nearest.tolerated_low / nearest.learning_rate,
        rate * nearest.tolerated_high / nearest.learning_rate,
    )


def _nearest(size: int, laws: FittedLaws) -> BatchOptimum:
    """The optimum of the measured batch size that is nearest in log."""
    known = [optimum for optimum in laws.optima if optimum.best_trial is not None]
    return min(known, key=lambda optimum: abs(np.log(optimum.global_batch_size / size)))


def _compared(row: PlanRow, first: PlanRow, device_hour_cost: float | None) -> PlanRow:
    speedup = first.seconds_to_target / row.seconds_to_target
    return replace(
        row,
        speedup=speedup,
        efficiency=speedup * first.num_workers / row.num_workers,
        cost=None if device_hour_cost is None else device_hour_cost * row.device_hours,
    )
