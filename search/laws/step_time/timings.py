"""Measured times in the form that the step-time law is fitted to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from largebatch.search.laws.law import Array
from largebatch.spaces.step_times import StepTimeProfile

MIN_WIDTH = 0.01
"""The least standard deviation, in log, of a median time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Steps of ``num_workers_M`` with ``local_batch_M`` examples each, and bare sums of ``bytes_R`` over workers.

    Times are natural logarithms of seconds; widths their standard deviations.
    """

    num_workers_M: Array
    local_batch_M: Array
    log_seconds_M: Array
    width_M: Array
    sum_workers_R: Array
    sum_bytes_R: Array
    log_sum_seconds_R: Array
    sum_width_R: Array
    per_node_M: Array
    """Workers of a node as they were timed; NaN where it was not recorded."""
    sum_per_node_R: Array
    num_bytes: float
    """Bytes summed in a step."""
    workers_per_node: int | None = None
    """Of the machine that is predicted. None: all devices are alike, as within one machine."""
    jitter: float | None = None
    """Relative standard deviation of a worker's step, where it was measured."""

    @property
    def has_synchronised(self) -> bool:
        """Whether anything was timed with several workers."""
        return bool((self.num_workers_M > 1).any() or len(self.sum_workers_R))

    @property
    def has_joined_nodes(self) -> bool:
        """Whether anything was timed over several nodes."""
        steps = self.nodes_of(self.per_node_M) < self.num_workers_M
        return bool(steps.any() or (self.nodes_of(self.sum_per_node_R) < self.sum_workers_R).any())

    def nodes_of(self, per_node: Array) -> Array:
        """Workers of a node at each timing: as it was recorded, else as the machine is said to be; inf on one node."""
        return np.where(np.isnan(per_node), self.workers_per_node or math.inf, per_node)

    def without_most_workers(self) -> "Timings | None":
        """All but the steps of most workers; None where too little would be left to predict those."""
        counts = sorted(set(self.num_workers_M.tolist()))
        kept = self.num_workers_M < counts[-1]
        if len(counts) < 3 or kept.sum() < 3:
            return None
        sums = self.sum_workers_R < counts[-1]
        return replace(
            self,
            num_workers_M=self.num_workers_M[kept], local_batch_M=self.local_batch_M[kept],
            log_seconds_M=self.log_seconds_M[kept], width_M=self.width_M[kept], per_node_M=self.per_node_M[kept],
            sum_workers_R=self.sum_workers_R[sums], sum_bytes_R=self.sum_bytes_R[sums],
            log_sum_seconds_R=self.log_sum_seconds_R[sums], sum_width_R=self.sum_width_R[sums],
            sum_per_node_R=self.sum_per_node_R[sums],
        )  # fmt: skip


def timings_of_profile(profile: StepTimeProfile) -> Timings:
    """Medians of the profile's repeats with their widths, for nodes as they were where several were timed."""
    alone = [(1, time.local_batch_size, time.seconds) for time in profile.compute]
    steps = alone + [(time.num_workers, time.local_batch_size, time.seconds) for time in profile.steps]
    sums = [(time.num_workers, time.num_bytes, time.seconds) for time in profile.all_reduce]
    spreads = [_spread(seconds) for _, _, seconds in alone if len(seconds) > 2]
    apart = [time.workers_per_node for time in profile.steps if (time.workers_per_node or math.inf) < time.num_workers]
    return Timings(
        num_workers_M=np.array([float(n) for n, _, _ in steps]),
        local_batch_M=np.array([float(b) for _, b, _ in steps]),
        log_seconds_M=np.array([_middle(seconds) for _, _, seconds in steps]),
        width_M=np.array([_width(seconds) for _, _, seconds in steps]),
        sum_workers_R=np.array([float(n) for n, _, _ in sums]),
        sum_bytes_R=np.array([float(size) for _, size, _ in sums]),
        log_sum_seconds_R=np.array([_middle(seconds) for _, _, seconds in sums]),
        sum_width_R=np.array([_width(seconds) for _, _, seconds in sums]),
        per_node_M=np.array([math.nan] * len(alone) + [time.workers_per_node or math.nan for time in profile.steps]),
        sum_per_node_R=np.array([time.workers_per_node or math.nan for time in profile.all_reduce]),
        num_bytes=float(profile.num_bytes),
        workers_per_node=max((count for count in apart if count is not None), default=None),
        jitter=float(np.median(spreads)) if spreads else None,
    )


def _middle(seconds: Sequence[float]) -> float:
    return float(np.log(np.median(seconds)))


def _spread(seconds: Sequence[float]) -> float:
    """The relative standard deviation from the median deviation, which one disturbed repeat does not move."""
    logs = np.log(seconds)
    return 1.4826 * float(np.median(np.abs(logs - np.median(logs))))


def _width(seconds: Sequence[float]) -> float:
    """The standard deviation of the median's logarithm, 1.25 times that of a mean."""
    return max(MIN_WIDTH, 1.25 * _spread(seconds) / math.sqrt(len(seconds)))
