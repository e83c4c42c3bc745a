"""What the job may use of this node: not what the node has, which Ray would take."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from largebatch.schedulers.clusters.batch_variables import (
    slurm_cpus,
    slurm_gpus,
    slurm_memory_mebibytes,
    visible_gpus,
)

_MIB = 2**20
_LEAST_OBJECT_STORE = 80 * _MIB
"""Ray refuses less than 75 MiB."""
LONGEST_SOCKET_PATH = 107
"""Of AF_UNIX, unix(7)."""
BELOW_RAY = "/session_2026-11-28_22-55-18_123456_4194304/sockets/plasma_store.10"
"""What Ray puts below its own folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeShare:
    """``memory_bytes`` is for processes, beside the object store's."""

    cpus: int
    gpus: int
    memory_bytes: int
    object_store_bytes: int


def node_share(cpus: int | None, gpus: int) -> NodeShare:
    """The share of a job that asked for so many CPUs and GPUs a node; None: all that the batch system gave it."""
    cpus = cpus or slurm_cpus(os.environ) or len(os.sched_getaffinity(0))
    visible = visible_gpus(os.environ)
    if visible is not None:
        gpus = visible
    elif not gpus:  # with --exclusive a site may give all GPUs of a node, and its steps no CUDA_VISIBLE_DEVICES
        gpus = slurm_gpus(os.environ) or 0
    memory = min(_memory_limits(cpus))
    shared = os.statvfs("/dev/shm")
    store = min(int(0.3 * memory), int(0.9 * shared.f_bavail * shared.f_frsize))
    store = max(_LEAST_OBJECT_STORE, store)
    return NodeShare(
        cpus=cpus, gpus=gpus, memory_bytes=max(_LEAST_OBJECT_STORE, memory - store), object_store_bytes=store
    )


def temp_folder() -> Path:
    """A new folder on this node alone, with a name so short that sockets can be made in it.

    Raises:
        OSError: where there is none.
    """
    for base in (os.environ.get("TMPDIR", "/tmp"), "/tmp"):
        if len(base) + len("/lb-12345678") + len(BELOW_RAY) <= LONGEST_SOCKET_PATH and os.access(base, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="lb-", dir=base))
    raise OSError("no folder for temporary files: neither TMPDIR (at most 28 characters) nor /tmp can be written")


def _memory_limits(cpus: int) -> list[int]:
    """What the batch system says, what holds the process, and what the node has."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    if (given := slurm_memory_mebibytes(os.environ, cpus)) is not None:
        limits.append(given * _MIB)
    return [*limits, *_control_group_limits()]


def _control_group_limits() -> list[int]:
    limits = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            file = Path("/sys/fs/cgroup", path.strip("/"), "memory.max")
        elif controllers == "memory":
            file = Path("/sys/fs/cgroup/memory", path.strip("/"), "memory.limit_in_bytes")
        else:
            continue
        try:
            limits.append(int(file.read_text()))
        except (OSError, ValueError):  # not mounted, or "max"
            continue
    return limits
