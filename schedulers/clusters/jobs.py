"""Jobs that were submitted from this folder, one folder each below ``clusters/``."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from largebatch.schedulers.clusters import lsf, pbs, slurm
from largebatch.schedulers.clusters.allocation import Allocation
from largebatch.schedulers.clusters.batch_script import Work
from largebatch.schedulers.clusters.batch_variables import submission_environment
from largebatch.schedulers.clusters.cluster_file import FILE_NAME, ClusterFile, read_cluster_file
from largebatch.spaces.errors import UserError
from largebatch.spaces.files import write_whole

SYSTEMS: dict[str, ModuleType] = {module.NAME: module for module in (slurm, pbs, lsf)}
FOLDER = Path("clusters")
_PATIENCE_SECONDS = 60.0
"""A client that cannot reach its server would try for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedJob:
    """A job in its ``folder``."""

    system: str
    job: str
    folder: Path

    @property
    def cluster(self) -> ClusterFile | None:
        """Its Ray, while that is up."""
        return read_cluster_file(self.folder / FILE_NAME)

    def state(self) -> str:
        """What the batch system says, in its own words; ``ended`` once it knows it no more."""
        system = SYSTEMS[self.system]
        result = _call(system.status_command(self.job))
        state = system.state_of(result.stdout) if result.returncode == 0 else ""
        return str(state) or "ended"

    def runs(self) -> bool:
        """Whether it has its nodes now."""
        return bool(self.state() == SYSTEMS[self.system].RUNS)


def new_work(allocation: Allocation, command: list[str]) -> Work:
    """What a job of this folder is to do; nothing is made yet."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = (FOLDER / f"{allocation.name}-{stamp}-{secrets.token_hex(2)}").absolute()
    return Work(command=tuple(command), folder=folder, working_folder=Path.cwd(), python=sys.executable)


def submit(system: str, allocation: Allocation, work: Work) -> SubmittedJob:
    """Write the script and submit it.

    Raises:
        UserError: if the batch system is not here, or refuses.
    """
    module = SYSTEMS[system]
    work.folder.mkdir(parents=True, mode=0o700)
    try:
        write_whole(work.script, module.script(allocation, work))
        result = _call(module.submit_command(allocation, work))
        if result.returncode:
            said = (result.stderr.strip() or result.stdout.strip()).replace("\n", "; ")
            raise UserError(f"{system} refuses the job: {said}; --dry-run shows the script")
    except BaseException:
        shutil.rmtree(work.folder)
        raise
    job = SubmittedJob(system=system, job=module.job_of(result.stdout), folder=work.folder)
    write_whole(work.folder / "submitted.json", json.dumps({"system": system, "nodes": allocation.nodes}))
    write_whole(work.job, job.job)
    return job


def submitted_jobs() -> list[SubmittedJob]:
    """All that were submitted from this folder, the newest last."""
    found = []
    for file in sorted(FOLDER.glob("*/submitted.json"), key=lambda path: path.stat().st_mtime):
        values: dict[str, Any] = json.loads(file.read_text())
        folder = file.parent.absolute()
        found.append(SubmittedJob(system=values["system"], job=(folder / "job").read_text().strip(), folder=folder))
    return found


def inside_command(job: SubmittedJob, head: str, folder: str, command: list[str]) -> list[str]:
    """The command that runs another one in ``folder`` on the node ``head`` of the job."""
    words: list[str] = SYSTEMS[job.system].inside_command(job.job, head, folder, command)
    return words


def cancel(job: SubmittedJob) -> None:
    """End the job.

    Raises:
        UserError: if the batch system refuses.
    """
    result = _call(SYSTEMS[job.system].cancel_command(job.job))
    if result.returncode:
        raise UserError(f"{job.system} cannot end job {job.job}: {result.stderr.strip()}")


def _call(command: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            command, env=submission_environment(os.environ), capture_output=True, text=True,
            timeout=_PATIENCE_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise UserError(f"there is no `{command[0]}` here; run this on a login node of the cluster") from error
    except subprocess.TimeoutExpired as error:
        raise UserError(f"`{command[0]}` did not answer within {_PATIENCE_SECONDS:.0f} s; try again later") from error
