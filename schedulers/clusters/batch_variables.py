"""What the variables of batch systems and of CUDA say: the one parser of each, for the launcher and for ``doctor``.

A text that none of them would write says nothing (None), and what is measured on the node holds.

Reference: Slurm 24.11, sbatch(1), "OUTPUT ENVIRONMENT VARIABLES"; NVIDIA CUDA C++ Programming Guide 13.0, "CUDA
Environment Variables": of CUDA_VISIBLE_DEVICES the entries before the first that names no device count.
"""

import re
from collections.abc import Mapping

JOB_VARIABLES = {"slurm": "SLURM_JOB_ID", "pbs": "PBS_JOBID", "lsf": "LSB_JOBID"}
"""What each system sets in the processes of a job."""
_MEBIBYTES = {"k": 2**-10, "m": 1, "g": 2**10, "t": 2**20}
_DEVICE = re.compile(r"\d+|GPU-[\w-]+|MIG-[\w/-]+")
_SLURM = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_CLUSTERS", "SLURM_JWT"})
_SBATCH = frozenset({"SBATCH_ACCOUNT", "SBATCH_CLUSTERS", "SBATCH_PARTITION", "SBATCH_QOS", "SBATCH_RESERVATION"})
_PBS = frozenset({"PBS_CONF_FILE", "PBS_DEFAULT", "PBS_EXEC", "PBS_HOME", "PBS_SERVER"})
_LSB = frozenset({"LSB_DEFAULTPROJECT", "LSB_DEFAULTQUEUE", "LSB_DEFAULTGROUP", "LSB_SHAREDIR"})
_DEVICES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")
_OURS = ("LARGEBATCH_BATCH_HOST", "LARGEBATCH_CLUSTER", "LARGEBATCH_END_TIME", "LARGEBATCH_RESTARTS")
_RAY = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def system_of(environment: Mapping[str, str]) -> str | None:
    """The batch system in whose job this is: slurm, pbs, lsf; None outside of a job."""
    return next((system for system, variable in JOB_VARIABLES.items() if environment.get(variable)), None)


def visible_gpus(environment: Mapping[str, str]) -> int | None:
    """The GPUs that CUDA_VISIBLE_DEVICES leaves, as CUDA reads it; None where it is not set, so that all are seen.

    ``-1`` and Slurm's ``NoDevFiles`` are none; of ``0,-1,1`` the first is left; a device named twice leaves none.
    """
    text = environment.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    found: list[str] = []
    for one in (word.strip() for word in text.split(",")):
        if not _DEVICE.fullmatch(one):
            break
        found.append(one)
    return len(found) if len(set(found)) == len(found) else 0


def slurm_gpus(environment: Mapping[str, str]) -> int | None:
    """The GPUs of this node that Slurm gave: ``2``, or a list such as ``0-3``, ``0,2-3``, or of UUIDs."""
    number = environment.get("SLURM_GPUS_ON_NODE", "")
    if number.isdigit():
        return int(number)
    listed = environment.get("SLURM_STEP_GPUS") or environment.get("SLURM_JOB_GPUS")
    return sum(_span(one.strip()) for one in listed.split(",") if one.strip()) if listed else None


def slurm_cpus(environment: Mapping[str, str]) -> int | None:
    """The CPUs of this node that Slurm gave, from ``SLURM_CPUS_ON_NODE`` or the list of all nodes."""
    for name in ("SLURM_CPUS_ON_NODE", "SLURM_JOB_CPUS_PER_NODE"):
        if (found := of_node(environment.get(name, ""), environment.get("SLURM_NODEID", "0"))) is not None:
            return found
    return None


def of_node(text: str, node: str) -> int | None:
    """This node's number in Slurm's list of one for each: ``72``, ``72(x2)``, ``72(x2),36``."""
    numbers: list[int] = []
    for one in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", one.strip())
        if found is None:
            return None
        numbers += [int(found[1])] * int(found[2] or 1)
    place = int(node) if node.isdigit() else 0
    return numbers[min(place, len(numbers) - 1)]


def slurm_memory_mebibytes(environment: Mapping[str, str], cpus: int) -> int | None:
    """The memory of this node that Slurm gave: ``4000`` (MiB), ``4G``, ``4g``; None: all, or not said."""
    for name, times in (("SLURM_MEM_PER_NODE", 1), ("SLURM_MEM_PER_CPU", cpus)):
        if found := re.fullmatch(r"(\d+)([kmgt]?)b?", environment.get(name, "").strip().lower()):
            size = int(int(found[1]) * _MEBIBYTES[found[2] or "m"]) * times
            if size:
                return size
    return None


def submission_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What a job, or a step in another job, is submitted with: nothing that describes the job in which that is typed.

    What a user sets on a login node stays; within a job only what says where the system is, and who pays.
    """
    kept = {name: value for name, value in environment.items() if name not in _OURS}
    if system_of(environment) is None:
        return kept
    return {
        name: value
        for name, value in kept.items()
        if not (name.startswith(("SLURM_", "SLURMD_")) and name not in _SLURM)
        and not (name.startswith("SBATCH_") and name not in _SBATCH)
        and not (name.startswith("PBS_") and name not in _PBS)
        and not (name.startswith("LSB_") and name not in _LSB)
        and name not in (*_DEVICES, *_RAY)
    }


def _span(text: str) -> int:
    found = re.fullmatch(r"(\d+)-(\d+)", text)
    return int(found[2]) - int(found[1]) + 1 if found else 1
