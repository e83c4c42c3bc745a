"""What was measured at the largest size, beside what a law says of it that was fitted without it."""

from dataclasses import dataclass, replace

import numpy as np

from largebatch.search.laws.batch_size.points import MIN_POINTS, Points
from largebatch.search.laws.batch_size.steps_law import Unit, fit_steps_law
from largebatch.search.laws.law import Prediction
from largebatch.search.laws.step_time.interconnects import Network, find_interconnect
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw, fit_step_time_law
from largebatch.search.laws.step_time.timings import Timings


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """The largest that was measured, and what the law says of it when it is fitted to the rest."""

    of: str
    """``global_batch_size`` or ``num_workers``."""
    at: int
    measured: float
    predicted: float
    low: float
    high: float
    error: float
    """predicted / measured - 1."""


def withhold_workers(
    timings: Timings, network: Network, rng: np.random.Generator, device: str = ""
) -> tuple[StepTimeLaw, Withheld | None]:
    """The step-time law, and what that of the rest says of the most workers, where enough were timed."""
    per_node = network.workers_per_node or timings.workers_per_node
    between = find_interconnect(network.interconnect)
    within = between if per_node is None else find_interconnect(None)
    timings = replace(timings, workers_per_node=per_node)
    fewer = timings.without_most_workers()
    withheld = None
    if fewer is not None:
        most = int(timings.num_workers_M.max())
        held = int(np.flatnonzero(timings.num_workers_M == most)[-1])
        law = fit_step_time_law(fewer, rng=rng, within=within, between=between)
        told = law.predict(most, timings.local_batch_M[held])
        withheld = _compare("num_workers", most, float(np.exp(timings.log_seconds_M[held])), told)
    return fit_step_time_law(timings, rng=rng, device=device, within=within, between=between), withheld


def withhold_batch_size(
    points: Points, noise_scale: float | None, rng: np.random.Generator, unit: Unit = "steps"
) -> Withheld | None:
    """What the law of the smaller batch sizes says of the largest that reached the target; told in ``unit``."""
    known = np.flatnonzero(points.known)
    if len(known) <= MIN_POINTS:
        return None
    last = int(known[-1])
    law = fit_steps_law(points.first(last), rng=rng, noise_scale=noise_scale)
    if law.verdict == "no-law":
        return None
    size = int(points.batch_K[last])
    amount = size if unit == "examples" else 1
    told = law.predict(size)
    scaled = Prediction(value=told.value * amount, low=told.low * amount, high=told.high * amount)
    return _compare("global_batch_size", size, float(np.exp(points.log_K[last])) * amount, scaled)


def _compare(of: str, at: int, measured: float, told: Prediction) -> Withheld:
    value, low, high = float(told.value), float(told.low), float(told.high)
    return Withheld(of=of, at=at, measured=measured, predicted=value, low=low, high=high, error=value / measured - 1)
