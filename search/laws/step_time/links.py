"""What joins devices, read off bare sums: the seconds of a message and the bytes a second, by the law's own formula."""

from dataclasses import dataclass

import numpy as np

from largebatch.search.laws.step_time.step_time_model import message_hops
from largebatch.search.laws.step_time.timings import Timings

WITHIN, BETWEEN = "within a node", "between nodes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """From sums over ``num_workers``, the most that were timed there: of the smallest the latency, of the largest the
    bandwidth, which is None where a larger sum took no longer."""

    where: str
    num_workers: int
    latency_seconds: float
    bytes_per_second: float | None


def measured_links(timings: Timings) -> tuple[Link, ...]:
    """Of sums within a node and of sums between nodes, where there are any; what is known from their kind alone."""
    workers, per_node = timings.sum_workers_R, timings.sum_per_node_R
    of = ((WITHIN, (per_node >= workers) & (workers > 1)), (BETWEEN, (per_node == 1) & (workers > 1)))
    return tuple(_link(where, timings, chosen) for where, chosen in of if chosen.any())


def _link(where: str, timings: Timings, chosen: np.ndarray) -> Link:
    most = timings.sum_workers_R[chosen].max()
    these = np.flatnonzero(chosen & (timings.sum_workers_R == most))
    these = these[np.argsort(timings.sum_bytes_R[these])]
    num_bytes, seconds = timings.sum_bytes_R[these], np.exp(timings.log_sum_seconds_R[these])
    longer = float(seconds[-1] - seconds[0])
    volume = 2 * (most - 1) / most * float(num_bytes[-1] - num_bytes[0])
    return Link(
        where=where,
        num_workers=int(most),
        latency_seconds=float(seconds[0] / (2 * message_hops(most, 0.5))),
        bytes_per_second=volume / longer if longer > 0 and volume > 0 else None,
    )
