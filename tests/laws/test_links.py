"""Links between devices: read off sums, fed to the law of a step's time, and told."""

import math

import numpy as np
import pytest

from largebatch.search.laws.holdout import withhold_workers
from largebatch.search.laws.step_time.interconnects import Network
from largebatch.search.laws.step_time.links import BETWEEN, WITHIN, measured_links
from largebatch.search.laws.step_time.timings import timings_of_profile
from largebatch.spaces.step_times import AllReduceTime, ComputeTime, StepTime, StepTimeProfile
from largebatch.studies.answer.law_text import law_html, link_words

BYTES = 50_000_000
SHARED_MEMORY, NETWORK = (5e-6, 2e10), (2e-4, 1e9)
"""Seconds of a message, bytes a second."""


def sum_seconds(count: float, num_bytes: float, link: tuple[float, float]) -> float:
    return 2 * math.log2(count) * link[0] + 2 * (count - 1) / count * num_bytes / link[1] if count > 1 else 0.0


def seconds(workers: int, per_node: int, num_bytes: float) -> float:
    return sum_seconds(min(workers, per_node), num_bytes, SHARED_MEMORY) + sum_seconds(
        workers / min(workers, per_node), num_bytes, NETWORK
    )


def profile(*, recorded: bool = True, num_nodes: int = 2) -> StepTimeProfile:
    """Two workers on each node; a step is a tenth of a second of compute and the sum."""
    rng = np.random.default_rng(0)

    def repeats(value: float) -> tuple[float, ...]:
        return tuple((value * np.exp(0.01 * rng.standard_normal(7))).tolist())

    groups = [(2, 2)] + ([(2 * num_nodes, 2), (num_nodes, 1)] if num_nodes > 1 else [])
    total = 2 * num_nodes
    return StepTimeProfile(
        device="a made-up GPU",
        num_bytes=BYTES,
        compute=(ComputeTime(local_batch_size=32, seconds=repeats(0.1)),),
        steps=(
            StepTime(
                num_workers=total, local_batch_size=32, seconds=repeats(0.1 + seconds(total, 2, BYTES)),
                workers_per_node=2 if recorded else None,
            ),
        ),
        all_reduce=tuple(
            AllReduceTime(
                num_workers=workers, num_bytes=size, seconds=repeats(seconds(workers, per_node, size)),
                workers_per_node=per_node if recorded else None,
            )
            for workers, per_node in groups
            for size in (4, 65_536, 8_388_608, BYTES)
        ),
    )  # fmt: skip


def test_links_are_read_off_the_sums_of_their_kind() -> None:
    within, between = measured_links(timings_of_profile(profile()))
    assert (within.where, between.where) == (WITHIN, BETWEEN)
    for link, (latency, rate) in ((within, SHARED_MEMORY), (between, NETWORK)):
        assert link.latency_seconds == pytest.approx(latency, rel=0.03)
        assert link.bytes_per_second == pytest.approx(rate, rel=0.03)
    told = link_words([within, between])
    assert "within a node 5 µs a message, 20 GB/s (2 workers)" in told
    assert "between nodes 200 µs a message, 1 GB/s (2 nodes, one worker each)" in told


def test_a_larger_sum_that_took_no_longer_tells_no_bandwidth() -> None:
    found = profile(num_nodes=1)
    first, *_, last = found.all_reduce
    odd = found.model_copy(update={"all_reduce": (first, last.model_copy(update={"seconds": (1e-9,)}))})
    (link,) = measured_links(timings_of_profile(odd))
    assert link.bytes_per_second is None
    assert "GB/s" not in link_words([link])


def test_what_was_measured_between_nodes_foretells_more_of_them() -> None:
    law, _ = withhold_workers(timings_of_profile(profile()), Network(), np.random.default_rng(0))
    assert law.workers_per_node == 2, "the machine that is predicted is like the one that was timed"
    for workers in (16, 64):
        told = law.predict(workers, 32)
        assert told.low <= 0.1 + seconds(workers, 2, BYTES) <= told.high
    assert law.interval["node_latency_seconds"][0] < 2e-4 < law.interval["node_latency_seconds"][1]
    assert law.interval["latency_seconds"][1] < 2e-5
    assert [link["where"] for link in law.to_json()["links"]] == [WITHIN, BETWEEN]
    assert "between nodes 200 µs a message" in law_html(law, "Step time")


def test_nodes_that_were_never_joined_are_known_from_data_sheets_and_said_so() -> None:
    network = Network(workers_per_node=2, interconnect="ethernet-10g")
    alone, _ = withhold_workers(timings_of_profile(profile(num_nodes=1)), network, np.random.default_rng(0))
    joined, _ = withhold_workers(timings_of_profile(profile()), network, np.random.default_rng(0))
    wide, narrow = (law.interval["node_seconds_a_byte"] for law in (alone, joined))
    assert math.log(wide[1] / wide[0]) > 3 * math.log(narrow[1] / narrow[0])
    assert narrow[0] < 1 / NETWORK[1] < narrow[1]
    assert "no two nodes were timed" in alone.reason
    assert "no two nodes" not in joined.reason


def test_a_profile_of_an_earlier_version_is_taken_as_the_user_says() -> None:
    timings = timings_of_profile(profile(recorded=False))
    assert measured_links(timings) == ()
    law, _ = withhold_workers(timings, Network(), np.random.default_rng(0))
    assert law.workers_per_node is None
    law, _ = withhold_workers(timings, Network(workers_per_node=2), np.random.default_rng(0))
    assert "no two nodes" not in law.reason, "four workers, two a node: they were joined"
