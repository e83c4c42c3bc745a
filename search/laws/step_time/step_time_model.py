"""Seconds of a synchronous step: the formula. Notation: N workers in nodes of M, b examples a worker and step.

- Compute alone: (a^p + (c b)^p)^(1/p): affine for p = 1 (Qiao et al. 2021, Pollux, OSDI, section 3.2); for p > 1 small
  batches do not fill the device and take the same time.
- A sum of n bytes over N workers: 2 hops latency + 2 (N-1)/N n / bandwidth; hops are log2 N by halving and doubling,
  N - 1 round a ring (Thakur et al. 2005, IJHPCA 19:49), and a geometric mean of both where it is not known which. Over
  several nodes: within each, then between them with the network's own latency and bandwidth.
- Together: ((straggling compute)^g + sync^g)^(1/g), g from 1, one after the other, to many, one hidden behind the other
  (Pollux). Within a step a sum takes longer than alone, for it wants the same cores and memory.
- Straggling: the slowest of N is later than the mean by about sigma sqrt(2 ln N).
- Input: a store that all share feeds N b examples a step at its own rate, and no step is faster than that.
"""

from dataclasses import dataclass, fields

import numpy as np

from largebatch.search.laws.law import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimeParameters:
    """Draws of the parameters; every array has the shape (D, 1)."""

    fixed_seconds: Array
    seconds_an_example: Array
    saturation: Array
    """p."""
    latency_seconds: Array
    seconds_a_byte: Array
    node_latency_seconds: Array
    node_seconds_a_byte: Array
    ring_share: Array
    """0: halving and doubling; 1: ring."""
    contention: Array
    """Factor of a sum within a step."""
    overlap: Array
    """g."""
    jitter: Array
    """sigma, relative."""
    input_seconds_an_example: Array

    def draws(self) -> dict[str, Array]:
        """Each parameter's draws by name, shape (D,)."""
        return {field.name: getattr(self, field.name)[:, 0] for field in fields(self)}

    def middle(self) -> "StepTimeParameters":
        """The medians as a single draw."""
        return StepTimeParameters(
            **{name: np.median(values, keepdims=True)[:, None] for name, values in self.draws().items()}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepParts:
    """What a step consists of, arrays of shape (D, M): the parts alone, and the whole."""

    compute_seconds: Array
    sync_seconds: Array
    input_seconds: Array
    seconds: Array


def compute_seconds(draws: StepTimeParameters, local_batch_M: Array) -> Array:
    """Of a worker alone."""
    fixed, rest = np.log(draws.fixed_seconds), np.log(draws.seconds_an_example) + np.log(local_batch_M)
    return np.asarray(np.exp(np.logaddexp(draws.saturation * fixed, draws.saturation * rest) / draws.saturation))


def sum_seconds(
    draws: StepTimeParameters, num_workers_M: Array, num_bytes_M: Array | float, workers_per_node: Array | int | None
) -> Array:
    """Of one sum over all workers, timed alone; without ``workers_per_node``, or where it is inf, on one node."""
    local = num_workers_M if workers_per_node is None else np.minimum(num_workers_M, workers_per_node)
    within = _level(local, num_bytes_M, draws.ring_share, draws.latency_seconds, draws.seconds_a_byte)
    if workers_per_node is None:
        return within
    nodes = num_workers_M / local
    return within + _level(nodes, num_bytes_M, draws.ring_share, draws.node_latency_seconds, draws.node_seconds_a_byte)


def message_hops(count: Array | float, ring_share: Array | float) -> Array:
    """Messages one after the other, each way, of a sum over ``count`` from 2 on."""
    return np.exp(ring_share * np.log(count - 1) + (1 - ring_share) * np.log(np.log2(count)))


def step_parts(
    draws: StepTimeParameters,
    num_workers_M: Array,
    local_batch_M: Array,
    num_bytes: float,
    workers_per_node: Array | int | None,
    sync_factor: Array | float = 1.0,
) -> StepParts:
    """A step of each of M pairs of workers and local batch."""
    straggling = 1 + draws.jitter * np.sqrt(2 * np.log(num_workers_M))
    compute = compute_seconds(draws, local_batch_M) * straggling
    sync = sum_seconds(draws, num_workers_M, num_bytes, workers_per_node) * draws.contention * sync_factor
    # (c^g + s^g)^(1/g) for s >= 0, without taking the logarithm of 0.
    larger, smaller = np.maximum(compute, sync), np.minimum(compute, sync)
    both = larger * (1 + (smaller / larger) ** draws.overlap) ** (1 / draws.overlap)
    feeding = draws.input_seconds_an_example * num_workers_M * local_batch_M
    return StepParts(
        compute_seconds=compute, sync_seconds=sync, input_seconds=feeding, seconds=np.maximum(both, feeding)
    )


def _level(count_M: Array, num_bytes_M: Array | float, ring_share: Array, latency: Array, byte: Array) -> Array:
    several = np.maximum(count_M, 2.0)
    seconds = 2 * message_hops(several, ring_share) * latency + 2 * (several - 1) / several * num_bytes_M * byte
    return np.where(count_M > 1, seconds, 0.0)
