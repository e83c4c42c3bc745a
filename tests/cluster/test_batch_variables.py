"""One fact, one number: the variables of batch systems and of CUDA say the same to the launcher and to ``doctor``."""

import os
from pathlib import Path

import pytest

from largebatch.schedulers.clusters.batch_variables import (
    of_node,
    slurm_cpus,
    slurm_gpus,
    slurm_memory_mebibytes,
    submission_environment,
    visible_gpus,
)
from largebatch.schedulers.clusters.launcher.node_share import node_share
from largebatch.studies.checks.machine import allocation

UUID = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "PBS_", "LSB_", "CUDA_", "NCPUS")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0), ("NoDevFiles", 0), ("-1", 0), ("0", 1), ("0,1,3", 3), ("0, 1", 2), ("0,-1,1", 1), ("1,1", 0),
        (UUID, 1), (f"{UUID},GPU-1", 2), ("MIG-41b35a5f-1f07-5a4c-9c5a-3f6d9d0a9c11", 1), (f"MIG-{UUID}/7/0", 1),
    ],
)  # fmt: skip
def test_visible_gpus_are_as_many_to_the_launcher_as_to_doctor(
    text: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    assert visible_gpus(os.environ) == count
    assert node_share(1, 4).gpus == count
    assert allocation.visible_gpus() == count


@pytest.mark.parametrize(
    ("text", "count"), [("0", 1), ("0,1", 2), ("0-3", 4), ("0,2-3", 3), (f"{UUID},{UUID[:-1]}7", 2)]
)
def test_a_step_without_variables_of_gpus_has_those_of_its_job(
    text: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_GPUS", text)
    assert node_share(1, 0).gpus == slurm_gpus(os.environ) == allocation.allocated_gpus(os.environ) == count
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert node_share(1, 0).gpus == 0


@pytest.mark.parametrize(
    ("text", "node", "count"),
    [("72", "0", 72), ("72(x2)", "1", 72), ("72(x2),36", "2", 36), ("72,36(x2)", "0", 72), ("many", "0", None)],
)
def test_the_list_of_a_number_for_each_node(text: str, node: str, count: int | None) -> None:
    assert of_node(text, node) == count


def test_cpus_of_a_list_are_as_many_to_the_launcher_as_to_doctor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "72(x2)")
    assert node_share(None, 0).cpus == slurm_cpus(os.environ) == allocation.allocated_cpus(os.environ) == 72


@pytest.mark.parametrize(
    ("environment", "mebibytes"),
    [
        ({"SLURM_MEM_PER_NODE": "4000"}, 4000), ({"SLURM_MEM_PER_NODE": "4G"}, 4096),
        ({"SLURM_MEM_PER_NODE": "4g"}, 4096), ({"SLURM_MEM_PER_NODE": "1T"}, 2**20),
        ({"SLURM_MEM_PER_NODE": "4096K"}, 4), ({"SLURM_MEM_PER_CPU": "2G"}, 16384), ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_NODE": "UNLIMITED"}, None), ({}, None),
    ],
)  # fmt: skip
def test_memory_with_slurm_s_units(environment: dict[str, str], mebibytes: int | None) -> None:
    assert slurm_memory_mebibytes(environment, cpus=8) == mebibytes


def test_the_launcher_takes_memory_in_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1G")
    monkeypatch.setattr("os.sysconf", lambda name: 2**20)  # a machine of 1 TiB
    share = node_share(1, 0)
    assert share.memory_bytes + share.object_store_bytes <= 2**30


def test_a_job_that_is_submitted_in_a_job_inherits_nothing_of_it() -> None:
    parent = {
        "SLURM_JOB_ID": "1", "SLURM_MEM_PER_CPU": "100", "SLURM_NTASKS": "1", "SLURMD_NODENAME": "n1",
        "SBATCH_TIMELIMIT": "5", "SBATCH_EXPORT": "NONE", "CUDA_VISIBLE_DEVICES": "0", "RAY_ADDRESS": "a:1",
        "LARGEBATCH_END_TIME": "1", "LARGEBATCH_CLUSTER": "c", "LARGEBATCH_RESTARTS": "3",
    }  # fmt: skip
    kept = {"SLURM_CONF": "/etc/s", "SBATCH_ACCOUNT": "me", "PATH": "/bin", "LARGEBATCH_DATA": "/d", "PBS_SERVER": "s"}
    assert submission_environment({**parent, **kept}) == kept
    lsf = {"LSB_JOBID": "1", "LSB_MCPU_HOSTS": "a 2", "LSB_DEFAULTQUEUE": "q", "LSF_ENVDIR": "/etc"}
    assert submission_environment(lsf) == {"LSB_DEFAULTQUEUE": "q", "LSF_ENVDIR": "/etc"}


def test_on_a_login_node_all_that_the_user_set_stays() -> None:
    user = {"SLURM_CONF": "/etc/s", "SBATCH_TIMELIMIT": "5", "CUDA_VISIBLE_DEVICES": "0", "RAY_ADDRESS": "a:1"}
    assert submission_environment({**user, "LARGEBATCH_RESTARTS": "3"}) == user


def test_a_submission_is_made_without_the_parent_s_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in of ``sbatch`` that prints what it was given."""
    from largebatch.schedulers.clusters.allocation import Allocation
    from largebatch.schedulers.clusters.jobs import new_work, submit

    (tmp_path / "sbatch").write_text('#!/bin/sh\nenv >"$0.env"\necho 4711\n')
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    asked = Allocation()
    assert submit("slurm", asked, new_work(asked, ["true"])).job == "4711"
    assert "SLURM_" not in (tmp_path / "sbatch.env").read_text()
