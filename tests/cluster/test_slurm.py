"""Studies on a real Slurm of two nodes: what they find is what one machine finds, whatever happens to their jobs."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .virtual_cluster import LARGEBATCH, Job, VirtualCluster, is_training, last_save, result, trials

pytestmark = pytest.mark.slow
RUN = (LARGEBATCH, "run", "small.yaml", "--address", "auto", "--out")


class AtOnce(NamedTuple):
    """Two studies on both nodes; ``warned`` was told in its middle that its time is nearly over."""

    calm: Job
    warned: Job
    both_ran_on: set[str]
    ends: tuple[str, str]


@pytest.fixture(scope="module")
def at_once(cluster: VirtualCluster, folder: Path) -> AtOnce:
    calm = cluster.submit(folder, *RUN, "calm")
    warned = cluster.submit(folder, *RUN, "warned")
    warned.wait("in the middle", lambda: is_training(folder / "warned"))
    running = cluster.run("squeue", "-h", "-t", "R", "-o", "%i %N").stdout.split("\n")
    cluster.run("scancel", "--batch", "--signal=USR1", warned.number)
    ends = (calm.end(), warned.end())
    return AtOnce(calm, warned, {line.strip() for line in running if line.strip()}, ends)


def test_a_study_on_two_nodes_finds_what_one_machine_finds(
    at_once: AtOnce, folder: Path, local: Mapping[int, Any]
) -> None:
    assert at_once.ends[0] == "COMPLETED", at_once.calm.log
    assert result(folder / "calm") == local
    plan = json.loads((folder / "calm/plan.json").read_text())
    assert [row["num_workers"] for row in plan["rows"]] == [1, 2]


def test_two_studies_share_both_nodes_at_once(at_once: AtOnce) -> None:
    assert at_once.both_ran_on == {f"{job.number} n[1-2]" for job in (at_once.calm, at_once.warned)}
    for job in (at_once.calm, at_once.warned):
        assert "2 of 2 nodes are ready" in job.log


def test_a_warned_study_goes_back_into_the_queue_and_on(
    at_once: AtOnce, folder: Path, local: Mapping[int, Any]
) -> None:
    assert at_once.ends[1] == "COMPLETED", at_once.warned.log
    assert at_once.warned.log.count("back into the queue") == 1, at_once.warned.log
    assert at_once.warned.log.count("nodes are ready") == 2
    assert result(folder / "warned") == local, "no trial was lost or done twice, none went another way"


def test_held_nodes_are_used_from_the_login_node(cluster: VirtualCluster, folder: Path) -> None:
    job = cluster.submit(folder)
    job.wait("ready", lambda: "2 of 2 nodes are ready" in job.log)
    (row,) = [row for row in _status(cluster, folder) if row["job"] == job.number]
    assert row["state"] == "RUNNING"
    assert row["nodes"] == ["n1", "n2"]
    asked = ("profile", "digits", "--workers", "2", "--local-batch-sizes", "32", "--address", "auto", "--json")
    found = json.loads(cluster.run(LARGEBATCH, *asked, cwd=folder).stdout)
    assert {(time["num_workers"], time["workers_per_node"]) for time in found["all_reduce"]} == {(2, 1)}
    (link,) = found["links"]
    assert link["where"] == "between nodes"
    assert 0 < link["latency_seconds"] < 1
    said = cluster.run(LARGEBATCH, "cluster", "stop", job.number, cwd=folder).stdout
    assert re.search(rf"Job {job.number} is told to end", said)
    job.end()
    assert [cluster.processes(node) for node in ("n1", "n2")] == [[], []]


def test_a_cancelled_study_goes_on_and_so_does_one_that_lost_a_node(
    cluster: VirtualCluster, folder: Path, local: Mapping[int, Any]
) -> None:
    """The last one, for the node is gone for good."""
    study = folder / "cancelled"
    first = cluster.submit(folder, *RUN, "cancelled")
    first.wait("in the middle", lambda: is_training(study))
    cluster.run("scancel", first.number)
    assert first.end() == "CANCELLED", first.log
    assert [cluster.processes(node) for node in ("n1", "n2")] == [[], []]
    assert any(trial.ending is None for trial in trials(study)), "the middle of a study"
    saved = last_save(study)
    second = cluster.submit(folder, *RUN, "cancelled")
    second.wait("going on", lambda: "nodes are ready" in second.log and last_save(study) > saved)
    cluster.lose("n2")
    assert second.end() == "COMPLETED", second.log
    assert "n2 is gone" in second.log, "n1 runs the batch script, and is the head"
    assert result(study) == local


def _status(cluster: VirtualCluster, folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cluster.run(LARGEBATCH, "cluster", "status", "--json", cwd=folder).stdout)
    return found
