"""Which job this process belongs to, from the variables that each batch system sets."""

import os
from dataclasses import dataclass

_JOB_VARIABLES = {"slurm": "SLURM_JOB_ID", "pbs": "PBS_JOBID", "lsf": "LSB_JOBID"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """``restarts``: how often it was put back into the queue; ``end_time``: seconds since the epoch, where known."""

    system: str
    job: str
    restarts: int
    end_time: float | None


def this_job() -> BatchJob | None:
    """The job of this process; None outside of any."""
    for system, variable in _JOB_VARIABLES.items():
        if job := os.environ.get(variable):
            end = os.environ.get("LARGEBATCH_END_TIME")
            restarts = int(os.environ.get("LARGEBATCH_RESTARTS", 0))
            return BatchJob(system=system, job=job, restarts=restarts, end_time=float(end) if end else None)
    return None
