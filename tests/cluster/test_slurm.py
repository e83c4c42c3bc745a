"""Studies on a real Slurm of two nodes: what they find is what one machine finds, whatever happens to their jobs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .virtual_cluster import LARGEBATCH, Job, VirtualCluster, is_training, result, trials

pytestmark = pytest.mark.slow
RUN = (LARGEBATCH, "run", "small.yaml", "--address", "auto", "--out")


class AtOnce(NamedTuple):
    """Two studies on both nodes."""

    calm: Job
    other: Job
    both_ran_on: set[str]
    ends: tuple[str, str]


@pytest.fixture(scope="module")
def at_once(cluster: VirtualCluster, folder: Path) -> AtOnce:
    calm = cluster.submit(folder, *RUN, "calm")
    other = cluster.submit(folder, *RUN, "other")
    other.wait("in the middle", lambda: is_training(folder / "other"))
    running = cluster.run("squeue", "-h", "-t", "R", "-o", "%i %N").stdout.split("\n")
    ends = (calm.end(), other.end())
    return AtOnce(calm, other, {line.strip() for line in running if line.strip()}, ends)


def test_a_study_on_two_nodes_finds_what_one_machine_finds(
    at_once: AtOnce, folder: Path, local: Mapping[int, Any]
) -> None:
    assert at_once.ends[0] == "COMPLETED", at_once.calm.log
    assert result(folder / "calm") == local
    plan = json.loads((folder / "calm/plan.json").read_text())
    assert [row["num_workers"] for row in plan["rows"]] == [1, 2]


def test_two_studies_share_both_nodes_at_once(at_once: AtOnce) -> None:
    assert at_once.both_ran_on == {f"{job.number} n[1-2]" for job in (at_once.calm, at_once.other)}
    for job in (at_once.calm, at_once.other):
        assert "2 of 2 nodes are ready" in job.log


def test_a_cancelled_study_goes_on(cluster: VirtualCluster, folder: Path, local: Mapping[int, Any]) -> None:
    study = folder / "cancelled"
    first = cluster.submit(folder, *RUN, "cancelled")
    first.wait("in the middle", lambda: is_training(study))
    cluster.run("scancel", first.number)
    assert first.end() == "CANCELLED", first.log
    assert [cluster.processes(node) for node in ("n1", "n2")] == [[], []]
    assert all(trial.ending is None for trial in trials(study)), "the middle of a study"
    second = cluster.submit(folder, *RUN, "cancelled")
    assert second.end() == "COMPLETED", second.log
    assert result(study) == local
