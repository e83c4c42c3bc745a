"""The formula of a step's seconds: its limits, what it may never do, and what the user's network changes."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.search.laws.from_table import time_steps
from largebatch.search.laws.holdout import withhold_workers
from largebatch.search.laws.step_time.interconnects import INTERCONNECTS, Network, find_interconnect
from largebatch.search.laws.step_time.step_time_law import fit_step_time_law
from largebatch.search.laws.step_time.step_time_model import (
    StepTimeParameters,
    compute_seconds,
    step_parts,
    sum_seconds,
)
from largebatch.spaces.errors import UserError

USUAL: dict[str, float] = {
    **{"fixed_seconds": 0.01, "seconds_an_example": 1e-3, "saturation": 1.0, "latency_seconds": 1e-5},
    **{"seconds_a_byte": 1e-10, "node_latency_seconds": 5e-5, "node_seconds_a_byte": 1e-9, "ring_share": 0.0},
    **{"contention": 1.0, "overlap": 1.0, "jitter": 0.0, "input_seconds_an_example": 0.0},
}


def parameters(**changes: float) -> StepTimeParameters:
    return StepTimeParameters(**{name: np.full((1, 1), value) for name, value in {**USUAL, **changes}.items()})


def seconds(
    workers: float, local: float, nodes_of: int | None = None, num_bytes: float = 1e8, **changes: float
) -> float:
    found = step_parts(parameters(**changes), np.array([workers]), np.array([local]), num_bytes, nodes_of)
    return float(found.seconds[0, 0])


def test_one_worker_computes_and_nothing_else() -> None:
    assert seconds(1, 32) == pytest.approx(0.01 + 0.032)
    assert seconds(1, 32, jitter=0.5) == pytest.approx(0.042), "one worker waits for nobody"


def test_saturation_is_the_larger_of_both_in_the_limit() -> None:
    sharp = compute_seconds(parameters(saturation=200.0), np.array([1.0, 10.0, 100.0]))
    assert sharp[0] == pytest.approx([0.01, 0.01, 0.1], rel=0.01)


def test_sums_of_thakur_and_others() -> None:
    """2 log2 N or 2 (N - 1) messages, and 2 (N - 1) / N times the bytes; both algorithms agree for two workers."""
    for workers in (2, 8, 64):
        volume = 2 * (workers - 1) / workers * 1e8 * 1e-10
        halving, ring = (
            float(sum_seconds(parameters(ring_share=share), np.array([float(workers)]), 1e8, None)[0, 0])
            for share in (0.0, 1.0)
        )
        assert halving == pytest.approx(2 * math.log2(workers) * 1e-5 + volume)
        assert ring == pytest.approx(2 * (workers - 1) * 1e-5 + volume)


def test_nodes_sum_among_themselves_first() -> None:
    """Four workers of one node never touch the network; eight of two nodes do."""
    assert seconds(4, 8, nodes_of=4) == pytest.approx(seconds(4, 8))
    within = 2 * 2 * 1e-5 + 1.5 * 1e8 * 1e-10
    between = 2 * 1 * 5e-5 + 1.0 * 1e8 * 1e-9
    assert seconds(8, 8, nodes_of=4) == pytest.approx(0.01 + 0.008 + within + between)


def test_overlap_hides_the_smaller_part() -> None:
    compute, sync = 0.018, 2 * 3 * 1e-5 + 1.75 * 1e8 * 1e-10
    assert seconds(8, 8) == pytest.approx(compute + sync)
    assert seconds(8, 8, overlap=50.0) == pytest.approx(max(compute, sync), rel=0.02)


def test_a_shared_store_bounds_the_step_from_below() -> None:
    assert seconds(64, 8, input_seconds_an_example=1e-2) == pytest.approx(64 * 8 * 1e-2)


@given(
    st.floats(1, 512), st.integers(1, 2048), st.floats(0, 1), st.floats(1, 8), st.floats(1, 8), st.floats(0, 0.3),
    st.sampled_from([None, 4, 8]),
)  # fmt: skip
def test_more_examples_or_more_workers_never_take_less(
    local: float, workers: int, ring: float, overlap: float, saturation: float, jitter: float, nodes_of: int | None
) -> None:
    shape: dict[str, Any] = {"ring_share": ring, "overlap": overlap, "saturation": saturation, "jitter": jitter}
    here = seconds(workers, local, nodes_of, **shape)
    assert seconds(workers, 1.5 * local, nodes_of, **shape) >= here * (1 - 1e-9)
    assert seconds(2 * workers, local, nodes_of, **shape) >= here * (1 - 1e-9)
    assert here >= 0.01


def test_a_named_network_narrows_what_is_predicted() -> None:
    """Timed within a machine of four; on sixteen of them, with gradients of a gigabyte, the network decides."""
    counts = np.array([1.0, 2.0, 4.0])
    steps = np.array([0.1, 0.102, 0.104])
    timings = time_steps(counts, 32 * counts, steps, 1e9)
    widths = {}
    for name in (None, "ib-hdr", "ethernet-1g"):
        law, _ = withhold_workers(timings, Network(workers_per_node=4, interconnect=name), np.random.default_rng(0))
        told = law.predict(64, 32)
        widths[name] = (float(told.value), math.log(told.high / told.low))
    assert widths["ib-hdr"][1] < widths[None][1]
    assert widths["ethernet-1g"][0] > 5 * widths["ib-hdr"][0]


def test_two_points_are_trusted_less_than_three() -> None:
    """On one line, at the same most workers: with two, nothing checks what more workers do to a step."""
    widths = {}
    for counts in ((8.0, 64.0), (8.0, 16.0, 64.0)):
        workers = np.array(counts)
        timings = time_steps(workers, 32 * workers, np.full(len(workers), 0.1), 1e8)
        told = fit_step_time_law(timings, rng=np.random.default_rng(0)).predict(1024, 32)
        widths[len(counts)] = math.log(told.high / told.low)
    assert widths[2] > 1.5 * widths[3]


def test_networks_have_plausible_numbers() -> None:
    for name, link in INTERCONNECTS.items():
        assert 1e-6 < link.latency_seconds < 1e-3, name
        assert 1e8 < link.bytes_per_second < 1e12, name
    with pytest.raises(UserError, match="no interconnect is called 'token-ring'; known: ethernet-1g"):
        find_interconnect("token-ring")
