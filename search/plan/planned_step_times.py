"""Seconds of a step at the worker counts of a plan, by the fitted step-time law: what ``guided`` weighs trials with."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from largebatch.search.laws.step_time.step_time_law import StepTimeLaw, fit_step_time_law
from largebatch.search.laws.step_time.timings import timings_of_profile
from largebatch.spaces.step_times import StepTimeProfile


@dataclass(frozen=True, slots=True)
class PlannedSeconds:
    """See ``StepSeconds``. ``norm_batch_size`` examples share batch statistics: a worker takes whole groups of them.

    More workers than the ``most_groups`` of any searched batch are the plan's to serve, by extrapolation; the search
    serves them as it does so many.
    """

    law: StepTimeLaw
    workers: tuple[int, ...]
    norm_batch_size: int
    most_groups: int

    def log_seconds(self, global_batch_size: int) -> NDArray[np.float64]:
        """See ``StepSeconds``."""
        groups = global_batch_size // min(global_batch_size, self.norm_batch_size)
        workers_W = np.minimum(self.workers, float(self.most_groups))
        seconds_W = self.law.middle_parts(workers_W, global_batch_size / workers_W).seconds[0]
        return np.where(groups % workers_W == 0, np.log(seconds_W), math.inf)

    def alone(self, global_batch_size: int) -> float:
        """See ``StepSeconds``."""
        return float(self.law.middle_parts(1, global_batch_size).seconds[0, 0])


def planned_seconds(
    profile: StepTimeProfile, workers: tuple[int, ...], norm_batch_size: int, most_groups: int
) -> PlannedSeconds:
    """From a profile of real steps; the same profile gives the same law."""
    law = fit_step_time_law(timings_of_profile(profile), rng=np.random.default_rng(0), device=profile.device)
    return PlannedSeconds(law, workers, norm_batch_size, most_groups)
