"""Studies on a real Slurm of two nodes: what they find is what one machine finds, whatever happens to their jobs."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .virtual_cluster import LARGEBATCH, Job, VirtualCluster, is_training, last_save, result, trials

pytestmark = pytest.mark.slow
ODD = "50%jobs of mine"
RUN = (LARGEBATCH, "run", "small.yaml", "--address", "auto", "--out")


class AtOnce(NamedTuple):
    """Jobs that ran at the same time, and how they ended."""

    jobs: Mapping[str, Job]
    ran_on: Mapping[str, str]
    ends: Mapping[str, str]


@pytest.fixture(scope="module")
def at_once(cluster: VirtualCluster, folder: Path) -> AtOnce:
    """All that need not be alone. One study meets its time limit, then loses its nodes; another one only the latter."""
    jobs = {
        "calm": cluster.submit(folder, *RUN, "calm"),
        "limited": cluster.submit(folder, *RUN, "limited", options=("--queue=graced",), slow=True),
    }
    calm, limited = jobs.values()
    limited.wait("running", lambda: limited.state() == calm.state() == "RUNNING")
    running = cluster.run("squeue", "-h", "-t", "R", "-o", "%i %N").stdout.splitlines()
    (folder / ODD).mkdir()
    (folder / ODD / "largebatch.toml").write_text("[cluster]\nrequeues = 1\n")
    jobs["stuck"] = cluster.submit(
        folder / ODD, "sh", "-c", 'echo "$SET was set, memory $SLURM_MEM_PER_NODE,$SLURM_MEM_PER_CPU"; exit 75',
        options=("--nodes", "1", "--prologue", "export SET=this", "--directive", "#SBATCH --mem=3000"),
        through=("srun", "--mem-per-cpu=100", "--ntasks=1", "env", "SBATCH_EXPORT=NONE", "SLURM_EXPORT_ENV=NONE"),
    )  # fmt: skip
    limited.wait("in the middle", lambda: is_training(folder / "limited"))
    limited.limit()
    calm.end()
    sudden = jobs["sudden"] = cluster.submit(folder, *RUN, "sudden", options=("--queue=sudden",), slow=True)
    limited.wait("warned and put back", lambda: "back into the queue" in limited.log)
    limited.limit(minutes=10)
    sudden.wait("in the middle", lambda: is_training(folder / "sudden"))
    limited.wait("started again", lambda: limited.log.count("nodes are ready") > 1)
    saved = last_save(folder / "limited")
    limited.wait("going on", lambda: last_save(folder / "limited") > saved)
    cluster.take_nodes()
    limited.wait("preempted", lambda: "SIGTERM came" in limited.log)
    limited.go()
    saved = last_save(folder / "sudden")
    sudden.wait("going on", lambda: sudden.log.count("nodes are ready") > 1 and last_save(folder / "sudden") > saved)
    cluster.run("scancel", sudden.number)
    ends = {name: job.end() for name, job in jobs.items()}
    return AtOnce(jobs, dict(line.split() for line in running), ends)


def test_a_study_on_two_nodes_finds_what_one_machine_finds(
    at_once: AtOnce, folder: Path, local: Mapping[int, Any]
) -> None:
    assert at_once.ends["calm"] == "COMPLETED", at_once.jobs["calm"].log
    assert result(folder / "calm") == local
    plan = json.loads((folder / "calm/plan.json").read_text())
    assert [row["num_workers"] for row in plan["rows"]] == [1, 2]


def test_studies_share_both_nodes_at_once(at_once: AtOnce) -> None:
    for name in ("calm", "limited"):
        assert at_once.ran_on[at_once.jobs[name].number] == "n[1-2]"
        assert "2 of 2 nodes are ready" in at_once.jobs[name].log


def test_a_study_that_meets_its_time_limit_and_then_loses_its_nodes_goes_on_each_time(
    at_once: AtOnce, folder: Path, local: Mapping[int, Any]
) -> None:
    log = at_once.jobs["limited"].log
    assert at_once.ends["limited"] == "COMPLETED", log
    for why in ("SIGUSR1", "SIGTERM"):  # Slurm's own: 59 s before the end; and for the grace time of a preemption
        assert re.search(rf"{why} came: saved \d+ running trials?; the same command goes on", log), log
    assert log.count("back into the queue") == 2, log
    assert result(folder / "limited") == local, "no trial was lost or done twice, none went another way"


def test_a_study_that_loses_its_nodes_at_once_goes_on_until_it_is_cancelled(at_once: AtOnce, folder: Path) -> None:
    """Without a grace time Slurm says TERM and kills after its KillWait, 5 s here; it puts the job back itself."""
    log = at_once.jobs["sudden"].log
    assert at_once.ends["sudden"] == "CANCELLED", log
    assert "DUE TO PREEMPTION" in log
    assert "back into the queue" not in log
    assert re.search(r"Resuming: 0 trials have ended, [23] that were running go on", log), log
    assert {trial.ending for trial in trials(folder / "sudden")} == {None}, "preempted or cancelled is not failed"


def test_a_job_that_gets_no_further_is_not_put_back_for_ever(at_once: AtOnce) -> None:
    log = at_once.jobs["stuck"].log
    assert at_once.ends["stuck"] == "FAILED", log
    assert (log.count("Ray is up"), log.count("back into the queue")) == (2, 1), log
    assert log.count("not put back: it was 1 times, and requeues is 1; what it saved is there") == 1


def test_a_job_submitted_within_another_one_has_what_it_asks_for_and_its_log(at_once: AtOnce) -> None:
    """Typed in a step with memory for each CPU, where SBATCH_EXPORT is NONE, in a folder whose name has ``%j``."""
    job = at_once.jobs["stuck"]
    assert job.folder.parents[1].name == ODD
    assert job.log.count("this was set, memory 3000,\n") == 2, job.log


@pytest.mark.usefixtures("at_once")
def test_nothing_is_left_of_a_job(cluster: VirtualCluster) -> None:
    """Of all those above: done, put back, preempted, cancelled."""
    assert [cluster.processes(node) for node in ("n1", "n2")] == [[], []]


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


def test_the_cancelled_study_goes_on_and_loses_its_head_and_then_a_node(
    cluster: VirtualCluster, folder: Path, local: Mapping[int, Any]
) -> None:
    """The last one, for the node is gone for good. Alone, it begins the study itself."""
    study = folder / "sudden"
    job = cluster.submit(folder, *RUN, "sudden", slow=True)

    def goes_on() -> bool:
        return last_save(study) > saved

    saved = last_save(study)
    job.wait("going on", goes_on)
    cluster.kill("gcs_server", "n1")
    job.wait("put back", lambda: "back into the queue" in job.log)
    assert "the head of the Ray cluster" in job.log
    job.wait("started again", lambda: job.log.count("nodes are ready") == 2)
    saved = last_save(study)
    job.wait("going on", goes_on)
    cluster.lose("n2")
    job.go()
    assert job.end() == "COMPLETED", job.log
    assert "n2 is gone" in job.log, "n1 runs the batch script, and is the head"
    found = result(study)
    assert set(found) == set(local)
    for number, (recipe, ending, intermediate, curve) in found.items():
        assert (recipe, ending) == local[number][:2]
        # What workers measured and saved while nobody was there to hear it is not measured again.
        assert intermediate.items() <= local[number][2].items()
        assert set(curve) <= set(local[number][3])


def _status(cluster: VirtualCluster, folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cluster.run(LARGEBATCH, "cluster", "status", "--json", cwd=folder).stdout)
    return found
