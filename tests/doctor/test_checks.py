"""Each check of ``doctor``, in an environment that is broken so that it must find something."""

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from largebatch.studies.checks.machine import allocation, folders, network, ray_here, software
from largebatch.studies.checks.machine.child import ChildFailed, from_child
from largebatch.studies.checks.machine.finding import Finding

GIVEN = ("SLURM_JOB_ID", "SLURM_GPUS_ON_NODE", "SLURM_JOB_GPUS", "SLURM_CPUS_ON_NODE", "SLURM_JOB_NUM_NODES", "NCPUS",
         "PBS_JOBID", "PBS_GPUFILE", "PBS_NGPUS", "PBS_NODEFILE", "LSB_JOBID", "LSB_MCPU_HOSTS",
         "CUDA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES1", "RAY_TMPDIR", "RAY_ADDRESS", "RAY_AUTH_MODE",
         "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_grpc_enable_http_proxy", "TMPDIR", "grpc_proxy", "http_proxy",
         "https_proxy", "all_proxy", "no_proxy", "GRPC_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
         "NO_PROXY")  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a batch system, whatever the tests run in."""
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)


def found(finding: Finding, level: str, said: str, mend: str) -> None:
    assert finding.level == level, finding
    assert said in finding.measured, finding
    assert mend in finding.mend, finding


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def path_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs go before the machine's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


# Software


def test_python_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert software.python().level == "ok"
    monkeypatch.setattr("platform.python_version", lambda: "3.9.2")
    found(software.python(), "problem", "3.9.2; >=3.11", "3.12")


@pytest.mark.parametrize(
    ("asked", "said"), [("optuna>=99", "optuna "), ("no-such-package>=1", "no no-such-package>=1")]
)
def test_packages_outside_our_bounds(asked: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert software.packages().level == "ok"
    monkeypatch.setattr("importlib.metadata.requires", lambda name: [asked])
    found(software.packages(), "problem", said, "pip install")


def test_a_wrong_extra_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ["pyyaml>=1", 'optuna>=99; extra == "x"', 'no-such-package; extra == "x"']
    monkeypatch.setattr("importlib.metadata.requires", lambda name: asked)
    found(software.packages(), "warning", "not optuna>=99", "pip install")


def test_broken_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch, a Ray and a scipy that lie before the real ones and cannot be loaded: findings, not crashes."""
    missing = "raise ImportError('libcudart.so.13: cannot open shared object file')\n"
    for package in ("torch", "ray", "scipy"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(missing)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for check in (software.torch, software.ray_import, software.imports):
        found(check(), "problem", "libcudart.so.13", "--force-reinstall")


def test_a_library_that_crashes_or_hangs() -> None:
    with pytest.raises(ChildFailed, match="killed by signal 11"):
        from_child("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", seconds=10)
    with pytest.raises(ChildFailed, match=r"no answer in 0\.5 s"):
        from_child("import time; time.sleep(60)", seconds=0.5)


SMI = """case "$*" in
-L) echo 'GPU 0: NVIDIA A100 (UUID: GPU-1)'; echo 'GPU 1: NVIDIA A100 (UUID: GPU-2)';;
*) echo '{version}, NVIDIA A100'; echo '{version}, NVIDIA A100';;
esac"""


@pytest.mark.parametrize(
    ("version", "cuda", "level", "said", "mend"),
    [
        ("535.104.05", "13.0", "problem", "torch's CUDA 13.0 needs 580", "--force-reinstall 'torch>=2.6,<2.11'   # or"),
        ("535.104.05", "12.6", "ok", "2 x NVIDIA A100; CUDA 12.6 needs 525", ""),
        ("470.10", "12.6", "problem", "needs 525", '"A driver older than torch\'s CUDA" in docs/environments.md'),
    ],
)
def test_the_driver(
    version: str, cuda: str, level: str, said: str, mend: str, path_first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path_first, "nvidia-smi", SMI.format(version=version))
    monkeypatch.setattr(software, "from_child", lambda *code, seconds: cuda)
    found(software.driver(), level, said, mend)
    section = "**A driver older than torch's CUDA.**"
    assert section in (Path(__file__).parents[2] / "docs/environments.md").read_text(), (
        "where the line sends its reader"
    )


def test_a_driver_that_does_not_answer(path_first: Path) -> None:
    program(path_first, "nvidia-smi", "echo 'NVIDIA-SMI has failed'; exit 9")
    found(software.driver(), "problem", "NVIDIA-SMI has failed", "node with GPUs")


def test_torch_sees_fewer_gpus_than_the_job(path_first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path_first, "nvidia-smi", SMI.format(version="580.1"))
    said = {"version": "2.13.0", "cuda": "13.0", "hip": None, "nccl": "2.28.3", "gpus": 1, "error": None}
    monkeypatch.setattr(software, "from_child", lambda *code, seconds: said)
    found(software.torch(), "problem", "NCCL 2.28.3, 1 GPUs; the job has 2", "torch.cuda.init")
    said |= {"cuda": None, "nccl": None, "gpus": 0}
    found(software.torch(), "problem", "for CPUs", "pip install")
    said |= {"error": "no kernel image is available"}
    found(software.torch(), "problem", "no kernel image", "nvidia-smi")


# The allocation


@pytest.mark.parametrize(
    ("environment", "level", "said"),
    [
        ({}, "ok", "2 visible, not in a batch job"),
        ({"SLURM_JOB_ID": "1", "SLURM_GPUS_ON_NODE": "2"}, "ok", "2 given by Slurm, 2 visible"),
        ({"SLURM_JOB_ID": "1", "SLURM_GPUS_ON_NODE": "1"}, "problem", "others' GPUs"),
        ({"SLURM_JOB_ID": "1", "SLURM_JOB_GPUS": "0,1,2,3"}, "problem", "4 given by Slurm, 2 visible"),
        ({"SLURM_JOB_ID": "1", "SLURM_GPUS_ON_NODE": "2", "CUDA_VISIBLE_DEVICES": ""}, "problem", "0 visible"),
        ({"PBS_JOBID": "1", "PBS_NGPUS": "2", "CUDA_VISIBLE_DEVICES": "1"}, "problem", "2 given by PBS, 1 visible"),
        ({"LSB_JOBID": "1", "CUDA_VISIBLE_DEVICES": "0,1"}, "ok", "the LSF job does not say"),
    ],
)
def test_gpus(
    environment: dict[str, str], level: str, said: str, path_first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path_first, "nvidia-smi", SMI.format(version="580.1"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    finding = allocation.gpus()
    found(finding, level, said, "")
    assert bool(finding.mend) == (level != "ok")


def test_gpus_in_pbs_file(tmp_path: Path) -> None:
    file = tmp_path / "gpus"
    file.write_text("n1-gpu0\nn1-gpu1\n")
    assert allocation.allocated_gpus({"PBS_JOBID": "1", "PBS_GPUFILE": str(file)}) == 2


def test_cpus_of_each_batch_system() -> None:
    here = os.uname().nodename
    assert allocation.allocated_cpus({"SLURM_CPUS_ON_NODE": "16"}) == 16
    assert allocation.allocated_cpus({"PBS_JOBID": "1", "NCPUS": "8"}) == 8
    assert allocation.allocated_cpus({"NCPUS": "8"}) is None
    assert allocation.allocated_cpus({"LSB_MCPU_HOSTS": f"other 2 {here} 4"}) == 4
    assert allocation.num_nodes({"LSB_MCPU_HOSTS": f"other 2 {here} 4"}) == 2
    assert allocation.num_nodes({"SLURM_JOB_NUM_NODES": "7"}) == 7


@pytest.mark.parametrize(
    ("given", "said", "mend"), [(64, "64 given by Slurm", "--cpus"), (1, "others' CPUs", "--num-cpus=1")]
)
def test_cpus(given: int, said: str, mend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(4)))
    monkeypatch.setattr(allocation, "cpu_quota", lambda: None)
    assert allocation.cpus().level == "ok"
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", str(given))
    found(allocation.cpus(), "warning", said, mend)


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("0::/job/step", {"job/cpu.max": "150000 100000", "job/step/cpu.max": "max 100000"}),
        ("4:cpu,cpuacct:/job", {"cpu/job/cpu.cfs_quota_us": "150000", "cpu/job/cpu.cfs_period_us": "100000"}),
    ],
)
def test_control_group(membership: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup").write_text(f"{membership}\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    monkeypatch.setattr(allocation, "MEMBERSHIP", tmp_path / "cgroup")
    monkeypatch.setattr(allocation, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(4)))
    found(allocation.cpus(), "warning", "1 usable", "OMP_NUM_THREADS=1")


def test_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = SimpleNamespace(f_bavail=2**14, f_blocks=2**14, f_frsize=2**12)
    with monkeypatch.context() as patch:
        patch.setattr("os.statvfs", lambda path: small)
        found(allocation.shared_memory(), "warning", "0.1 of 0.1 GiB", "--shm-size")
    monkeypatch.setattr(allocation, "SHARED_MEMORY", tmp_path / "none")
    found(allocation.shared_memory(), "problem", "No such file", "mount")


def test_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 4096))
    found(allocation.open_files(), "warning", "1024 at most", "ulimit -n 4096")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 1024))
    found(allocation.open_files(), "warning", "1024 at most", "the site")


# Folders


def test_a_path_too_long_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("a" * 60)))
    found(folders.temp_path(), "problem", "107 at most", "export TMPDIR=/tmp")
    monkeypatch.setenv("RAY_TMPDIR", "/no/such")
    found(folders.temp_path(), "problem", "No such file", "export RAY_TMPDIR=/tmp")


@pytest.mark.parametrize(
    ("mount", "level", "said"),
    [
        ("rw - nfs4 server:/home rw,vers=4.2", "ok", "NFS, shared among nodes"),
        ("rw - nfs server:/home rw,local_lock=all", "warning", "local_lock=all"),
        ("rw - lustre mgs:/scratch rw,lazystatfs", "warning", "Lustre, mounted without flock"),
        ("rw - lustre mgs:/scratch rw,flock", "ok", "Lustre"),
        ("rw - gpfs scratch rw", "ok", "GPFS"),
        ("rw - beegfs beegfs_nodev rw", "ok", "BeeGFS"),
        ("rw - tmpfs tmpfs rw", "warning", "gone with the job"),
        ("rw - overlay overlay rw", "warning", "gone with the job"),
        ("rw - fuse.sshfs host: rw", "ok", "sshfs"),
    ],
)
def test_kinds_of_file_systems(
    mount: str, level: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {tmp_path} {mount}\n")
    monkeypatch.setattr(folders, "MOUNTS", mounts)
    found(folders.kind_of_file_system(tmp_path / "deep" / "er"), level, said, "")
    if "tmpfs" not in mount and "overlay" not in mount and "sshfs" not in mount:
        monkeypatch.setenv("TMPDIR", "/tmp")
        mounts.write_text(f"1 0 8:1 / / {mount}\n")
        found(folders.temp_path(), "warning", "which nodes share", "export TMPDIR=/tmp")


def test_locks_that_hold(tmp_path: Path) -> None:
    found(folders.locking(tmp_path), "ok", "flock holds between two processes", "")
    found(folders.renaming(tmp_path), "ok", "whole for every reader", "")
    assert "GiB free" in folders.space(tmp_path).measured
    assert not list(tmp_path.iterdir())


def test_locks_that_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a Lustre without flock, and on a file system that takes every lock."""
    real = folders._LOCK
    monkeypatch.setattr(folders, "_LOCK", "raise OSError(38, 'Function not implemented')")
    found(folders.locking(tmp_path), "problem", "Function not implemented", "--out")
    monkeypatch.setattr(folders, "_LOCK", real.replace("fcntl.flock(file, fcntl.LOCK_EX)", "pass"))
    found(folders.locking(tmp_path), "problem", "does not keep others out", "--out")


def test_renaming_that_shows_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = folders._RENAME.replace('os.replace(path + ".new", path)', 'copy(path + ".new", path)')
    copy = "def copy(a, b):\n    text = open(a).read()\n    open(b, 'w').write(text)\n"
    monkeypatch.setattr(folders, "_RENAME", copy + code)
    found(folders.renaming(tmp_path), "problem", "was not whole", "--out")


def test_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path_first: Path) -> None:
    program(path_first, "quota", "echo '/home: over its block limit'")
    found(folders.space(tmp_path), "problem", "over its block limit", "quota -s")
    program(path_first, "quota", "exit 0")
    room = SimpleNamespace(f_bavail=2**20, f_frsize=2**12, f_files=1000, f_favail=900)
    monkeypatch.setattr("os.statvfs", lambda path: room)
    found(folders.space(tmp_path), "problem", "only 900 more files", "du -xh")
    room.f_favail = 10**6
    found(folders.space(tmp_path), "warning", "4.0 GiB", "du -xh")
    room.f_bavail = 2**10
    found(folders.space(tmp_path), "problem", "0.0 GiB", "du -xh")


def test_a_quota_shows_when_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr("os.fsync", refuse)
    found(folders.space(tmp_path), "problem", "writing 16 MiB fails: Disk quota exceeded", "du -xh")


# The network


def resolves(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def answer(name: str, *rest: object, **more: object) -> Sequence[object]:
        if not addresses:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses]

    monkeypatch.setattr("socket.getaddrinfo", answer)


def test_the_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, "10.1.2.3")
    assert network.host_name().level == "ok"
    monkeypatch.setattr(network, "own_address", lambda interface, *, alone: "10.1.2.3")
    for addresses, said in ((("127.0.1.1",), "is 127.0.1.1; 10.1.2.3"), ((), "does not resolve")):
        resolves(monkeypatch, *addresses)
        found(network.host_name(), "warning", said, "/etc/hosts")
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    found(network.host_name(), "problem", "does not resolve", "10.1.2.3")


def test_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert network.ports().level == "ok"
    monkeypatch.setattr(network, "PORT_RANGE", tmp_path / "range")
    (tmp_path / "range").write_text("60000\t60999\n")
    found(network.ports(), "warning", "few for Ray", "sysctl")
    monkeypatch.setattr(network, "own_address", lambda interface, *, alone: "203.0.113.7")
    found(network.ports(), "problem", "203.0.113.7 cannot be reached", "firewall")


def test_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "n1.cluster")
    monkeypatch.setattr(network, "own_address", lambda interface, *, alone: "10.0.0.1")
    assert network.proxies().level == "ok"
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    found(network.proxies(), "warning", "no_proxy not set", 'no_proxy="n1.cluster,10.0.0.1,127.0.0.1,localhost"')
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    found(network.proxies(), "warning", "connections to n1.cluster, 10.0.0.1 go", "localhost,127.0.0.1,n1.cluster")
    monkeypatch.setenv("RAY_grpc_enable_http_proxy", "1")
    found(network.proxies(), "problem", "Ray's too", "no_proxy")
    monkeypatch.setenv("no_proxy", ".cluster,10.0.0.0/8,127.0.0.1,localhost")
    assert network.proxies().level == "ok"


# Ray


def test_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ray_here.authentication().level == "ok"
    token = tmp_path / ".ray" / "auth_token"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    found(ray_here.authentication(), "problem", "no token", "umask 077")
    mend = ray_here.authentication().mend
    subprocess.run(["bash", "-ec", mend.replace("python ", f"{sys.executable} ")], check=True)
    assert ray_here.authentication().level == "ok"  # the line that mends, mends
    token.chmod(0o644)
    found(ray_here.authentication(), "problem", "0644", f"chmod 600 {token}")
    token.chmod(0o600)
    monkeypatch.delenv("RAY_AUTH_MODE")
    found(ray_here.authentication(), "warning", "RAY_AUTH_MODE is not set", "export RAY_AUTH_MODE=token")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    found(ray_here.authentication(), "warning", "runs code as you", "export RAY_AUTH_MODE=token")
    monkeypatch.setenv("RAY_AUTH_MODE", "tokn")
    found(ray_here.authentication(), "problem", "tokn", "export RAY_AUTH_MODE=token")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    token.write_text("")
    found(ray_here.authentication(), "problem", "empty", "umask 077")


def test_somebody_elses_ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "4711").mkdir()
    (tmp_path / "4711" / "cmdline").write_bytes(b"/usr/lib/ray/core/src/ray/raylet/raylet\0--x\0")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(ray_here, "PROCESSES", tmp_path)
    found(ray_here.other_rays(), "ok", "1 of yours", "")
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    found(ray_here.other_rays(), "warning", "runs on this node", "without --address")
    (tmp_path / "ray").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    found(ray_here.other_rays(), "problem", "no Ray of yours can start", "RAY_TMPDIR")
