"""Which job this process belongs to, from the variables that each batch system sets."""

import os
from dataclasses import dataclass

from largebatch.schedulers.clusters.batch_variables import JOB_VARIABLES, system_of


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """``restarts``: how often it was put back into the queue; ``end_time``: seconds since the epoch, where known."""

    system: str
    job: str
    restarts: int
    end_time: float | None


def this_job() -> BatchJob | None:
    """The job of this process; None outside of any."""
    system = system_of(os.environ)
    if system is None:
        return None
    end = os.environ.get("LARGEBATCH_END_TIME")
    return BatchJob(
        system=system,
        job=os.environ[JOB_VARIABLES[system]],
        restarts=int(os.environ.get("LARGEBATCH_RESTARTS", 0)),
        end_time=float(end) if end else None,
    )
