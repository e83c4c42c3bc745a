"""Where to measure next: what would narrow the plan's intervals most for the least cost.

Of a measurement m and a planned time T, both in log, measuring m with noise of variance v lowers the variance of T by
Cov(T, m)^2 / (Var m + v): linear regression on the posterior's draws, as in Bayes linear design (Farrow, Goldstein
1993, Comput. Stat. Data Anal. 15:271). Gains are averaged over the plan's worker counts and divided by cost, which is
the device-seconds that the measurement takes.
"""

import math
from collections.abc import Sequence

import numpy as np

from largebatch.search.laws.fit_laws import FittedLaws
from largebatch.search.laws.law import Array
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw
from largebatch.search.plan.plan import NextMeasurement, PlanRow

TIMED_STEPS = 50
"""Steps that timing one number of workers takes, warm-up and repeats in all."""
MAX_ROWS = 64
"""Rows of the plan over which gains are averaged; of more, as many evenly spread."""
WORTH = 0.02
"""A measurement that narrows the intervals by less than this share is not worth telling."""
FARTHER = (2, 4, 8)
"""Batch sizes and worker counts beyond the largest measured that are considered, as multiples of it."""


def next_measurements(rows: Sequence[PlanRow], laws: FittedLaws, step_time: StepTimeLaw) -> list[NextMeasurement]:
    """Candidates worth their cost, the most narrowing a device-second first."""
    if laws.steps.verdict == "no-law":
        return []
    rows = rows[:: math.ceil(len(rows) / MAX_ROWS)]
    workers_W = np.array([float(row.num_workers) for row in rows])
    batch_W = np.array([float(row.global_batch_size) for row in rows])
    steps_DW = laws.steps.curve_logs(batch_W)
    seconds_DW = np.log(step_time.curve_draws(workers_W, batch_W / workers_W))
    number = min(len(steps_DW), len(seconds_DW))
    time_DW = steps_DW[:number] + seconds_DW[:number]
    found = []
    sizes = sorted({o.global_batch_size for o in laws.optima if o.reached})
    norms = {trial.recipe.norm_batch_size for trial in laws.found.trials}
    farther = [
        size
        for size in (sizes[-1] * factor for factor in FARTHER)
        if any(size <= norm or size % norm == 0 for norm in norms)  # else it is no recipe
    ]
    for size in [*sizes, *farther]:
        log_D = laws.steps.curve_logs(np.array([float(size)]))[:number, 0]
        noise = laws.steps.misfit**2 + laws.found.valley.noise**2
        cost = float(np.exp(np.median(log_D)) * step_time.middle_parts(1, size).seconds[0, 0])
        found.append(_next("global_batch_size", size, log_D, noise, time_DW, cost))
    most = int(step_time.most_workers)
    for count in (most * factor for factor in FARTHER if most * factor <= workers_W.max()):
        local = float(batch_W[np.argmin(np.abs(workers_W - count))]) / count
        log_D = np.log(step_time.curve_draws(np.array([float(count)]), np.array([local])))[:number, 0]
        noise = float(np.var(step_time.misfit_D))
        cost = TIMED_STEPS * count * float(np.exp(np.median(log_D)))
        found.append(_next("num_workers", count, log_D, noise, time_DW, cost))
    worth = [one for one in found if one.narrowing >= WORTH]
    return sorted(worth, key=lambda one: -one.narrowing / one.device_seconds)


def _next(of: str, at: int, log_D: Array, noise: float, time_DW: Array, cost: float) -> NextMeasurement:
    centred_D, centred_DW = log_D - log_D.mean(), time_DW - time_DW.mean(axis=0)
    shared_W = centred_D @ centred_DW / len(log_D)
    variance_W = np.maximum((centred_DW**2).mean(axis=0), 1e-12)
    left_W = np.clip(1 - shared_W**2 / (centred_D.var() + noise) / variance_W, 0.0, 1.0)
    return NextMeasurement(of=of, at=at, narrowing=float(np.mean(1 - np.sqrt(left_W))), device_seconds=cost)
