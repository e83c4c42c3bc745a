"""What the batch system gave, against what a process here would take: GPUs, CPUs, shared memory, open files."""

import math
import os
import resource
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from largebatch.schedulers.clusters import batch_variables
from largebatch.studies.checks.machine.finding import Finding, ok, problem, warning

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
SHARED_MEMORY = Path("/dev/shm")
_LEAST_SHARED_BYTES = 2**30
_LEAST_OPEN_FILES = 4096


def batch_system(environment: Mapping[str, str]) -> str | None:
    """The system whose job this is: Slurm, PBS, LSF; None outside of a job."""
    system = batch_variables.system_of(environment)
    return None if system is None else {"slurm": "Slurm", "pbs": "PBS", "lsf": "LSF"}[system]


def num_nodes(environment: Mapping[str, str]) -> int:
    """How many nodes the job has, 1 outside of one."""
    if environment.get("SLURM_JOB_NUM_NODES", "").isdigit():
        return int(environment["SLURM_JOB_NUM_NODES"])
    if environment.get("PBS_NODEFILE"):
        return max(1, len(set(_lines(Path(environment["PBS_NODEFILE"])))))
    return max(1, len(environment.get("LSB_MCPU_HOSTS", "").split()) // 2)


def gpus() -> Finding:
    """GPUs that the job was given, against those that it sees."""
    allocated, visible = allocated_gpus(os.environ), visible_gpus()
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    measured = f"{visible} visible" + (f" (CUDA_VISIBLE_DEVICES={chosen})" if chosen is not None else "")
    system = batch_system(os.environ)
    if allocated is None:
        outside = f", the {system} job does not say how many it has" if system else ", not in a batch job"
        return ok("GPUs", measured + outside)
    measured = f"{allocated} given by {system}, {measured}"
    if visible < allocated:
        mend = "srun --gpus-per-task=0 ...   # one task a node that sees all; or unset CUDA_VISIBLE_DEVICES"
        return problem("GPUs", measured, mend if system == "Slurm" else "unset CUDA_VISIBLE_DEVICES")
    if visible > allocated:
        first = ",".join(map(str, range(allocated)))
        return problem("GPUs", f"{measured}: others' GPUs", f'export CUDA_VISIBLE_DEVICES="{first}"')
    return ok("GPUs", measured)


def allocated_gpus(environment: Mapping[str, str]) -> int | None:
    """The GPUs of this node that the job was given; None where the batch system does not say."""
    if (given := batch_variables.slurm_gpus(environment)) is not None:
        return given
    if environment.get("PBS_GPUFILE"):
        return len(_lines(Path(environment["PBS_GPUFILE"])))
    if environment.get("PBS_NGPUS", "").isdigit():
        return int(environment["PBS_NGPUS"])
    if environment.get("LSB_JOBID") and environment.get("CUDA_VISIBLE_DEVICES1"):
        return batch_variables.visible_gpus({"CUDA_VISIBLE_DEVICES": environment["CUDA_VISIBLE_DEVICES1"]})
    return None


def visible_gpus() -> int:
    """The GPUs that CUDA would take: CUDA_VISIBLE_DEVICES, else all that nvidia-smi lists."""
    chosen = batch_variables.visible_gpus(os.environ)
    if chosen is not None:
        return chosen
    if shutil.which("nvidia-smi") is None:
        return 0
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False).stdout
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def cpus() -> Finding:
    """CPUs that the job was given, against those that it may run on."""
    allocated, allowed, quota = allocated_cpus(os.environ), len(os.sched_getaffinity(0)), cpu_quota()
    usable = allowed if quota is None else min(allowed, max(1, math.floor(quota)))
    measured = f"{usable} usable of {os.cpu_count()} (affinity {allowed}"
    measured += ", no quota)" if quota is None else f", control group's quota {quota:g})"
    if allocated is not None:
        measured = f"{allocated} given by {batch_system(os.environ)}, {measured}"
    if allocated is not None and usable < allocated:
        return warning("CPUs", measured, f"srun --cpus-per-task={allocated} --cpu-bind=none ...")
    if allocated is not None and usable > allocated:
        mend = f"ray start --num-cpus={allocated} ...   # `largebatch cluster` does so"
        return warning("CPUs", f"{measured}: a Ray started by hand takes others' CPUs", mend)
    if usable < allowed:
        return warning("CPUs", measured, f"export OMP_NUM_THREADS={usable}")
    return ok("CPUs", measured)


def allocated_cpus(environment: Mapping[str, str]) -> int | None:
    """The CPUs of this node that the job was given; None where the batch system does not say."""
    if (given := batch_variables.slurm_cpus(environment)) is not None:
        return given
    if environment.get("PBS_JOBID") and environment.get("NCPUS", "").isdigit():
        return int(environment["NCPUS"])
    hosts = environment.get("LSB_MCPU_HOSTS", "").split()
    each = {host.split(".")[0]: int(count) for host, count in zip(hosts[::2], hosts[1::2], strict=False)}
    return each.get(os.uname().nodename.split(".")[0])


def cpu_quota() -> float | None:
    """CPUs' worth of time that the control group may use, the least of those above it; None: no limit."""
    quotas = []
    for line in _lines(MEMBERSHIP):
        _, controllers, inside = line.split(":", 2)
        version_2 = controllers == ""
        if not version_2 and "cpu" not in controllers.split(","):
            continue
        folder = CONTROL_GROUPS if version_2 else CONTROL_GROUPS / "cpu"
        for group in [folder, *(folder / part for part in _prefixes(inside))]:
            if version_2:
                most, _, period = (" ".join(_lines(group / "cpu.max")) or "max 100000").partition(" ")
            else:
                most = " ".join(_lines(group / "cpu.cfs_quota_us")) or "-1"
                period = " ".join(_lines(group / "cpu.cfs_period_us")) or "100000"
            if most not in ("max", "-1"):
                quotas.append(int(most) / int(period))
    return min(quotas, default=None)


def shared_memory() -> Finding:
    """Room for Ray's object store and for the batches that loaders hand over."""
    try:
        room = os.statvfs(SHARED_MEMORY)
    except OSError as error:
        return problem("shared memory", f"{SHARED_MEMORY}: {error.strerror}", f"mount -t tmpfs tmpfs {SHARED_MEMORY}")
    free, size = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
    measured = f"{SHARED_MEMORY}: {free / 2**30:.1f} of {size / 2**30:.1f} GiB free"
    if not os.access(SHARED_MEMORY, os.W_OK):
        return problem("shared memory", f"{measured}, not writable", f"chmod 1777 {SHARED_MEMORY}   # by the site")
    if free < _LEAST_SHARED_BYTES:
        mend = (
            "docker run --shm-size=8g ..." if size < _LEAST_SHARED_BYTES else f"ls -l {SHARED_MEMORY}   # whose is it?"
        )
        return warning("shared memory", f"{measured}: Ray's objects would go to disk", mend)
    return ok("shared memory", measured)


def open_files() -> Finding:
    """Ray and the loaders hold many sockets and files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "no limit" if hard == resource.RLIM_INFINITY else str(hard)
    measured = f"{soft} at most (may be raised to {most})"
    if soft == resource.RLIM_INFINITY or soft >= _LEAST_OPEN_FILES:
        return ok("open files", measured)
    raised = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    if raised <= soft:
        return warning("open files", measured, "ulimit -Hn   # the site, or the container's --ulimit, raises it")
    return warning("open files", measured, f"ulimit -n {raised}")


def _prefixes(inside: str) -> list[str]:
    parts = [part for part in inside.split("/") if part]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text().splitlines() if line.strip()]
    except OSError:
        return []
