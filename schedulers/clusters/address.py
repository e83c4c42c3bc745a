"""Which Ray a command is to join, and with which token.

``--address auto`` is, in this order: the job that this process belongs to, the Ray that the environment names, a job of
this folder (from a node of it at once; from a login node by running the command on the job's first node), the Ray that
was started on this machine.
"""

import contextlib
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import NoReturn

from largebatch.schedulers.clusters.batch_variables import submission_environment
from largebatch.schedulers.clusters.cluster_file import FILE_NAME, VARIABLE, ClusterFile, read_cluster_file
from largebatch.schedulers.clusters.jobs import SubmittedJob, inside_command, submitted_jobs
from largebatch.spaces.errors import UserError

AUTO = "auto"
_PATIENCE_SECONDS = 5.0


def go_to_cluster(address: str | None) -> None:
    """Run this very command on the first node of the job that ``auto`` finds, if it is not here: then it ends there."""
    if address == AUTO and not _named() and (job := _job_of_folder()) is not None and not _is_here(job[1]):
        _run_there(*job)


def ray_address(address: str) -> str:
    """HOST:PORT of a Ray that answers; what Ray reads of the environment is set, for it is not imported yet.

    Raises:
        UserError: if there is none, or it does not answer.
    """
    found = _found() if address == AUTO else address
    host, _, port = found.rpartition(":")
    if not host or not port.isdigit() or "/" in found:
        raise UserError(
            f"--address must be HOST:PORT or auto; got {address!r}; a Ray of our own starts without --address"
        )
    os.environ.setdefault("RAY_AUTH_MODE", "token" if _has_token() else "disabled")  # as `ray start --head` does
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--address {address}: nothing answers at {found} ({error}); start Ray with `largebatch cluster` or with "
            f"`ray start --head`"
        ) from error
    return found


def _found() -> str:
    if named := _named():
        return named
    if (job := _job_of_folder()) is not None:
        if not _is_here(job[1]):
            raise UserError(f"--address auto: the Ray of job {job[0].job} is joined from its nodes, as {job[1].head}")
        os.environ[VARIABLE] = str(job[0].folder / FILE_NAME)
        return _join(job[1])
    current = Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp", "ray", "ray_current_cluster")
    try:
        address = current.read_text().strip()
    except OSError:
        raise UserError(
            "--address auto: no job of `largebatch cluster` in this folder has its Ray up, RAY_ADDRESS is not set, and "
            "no Ray was started on this machine; `largebatch cluster status` lists the jobs"
        ) from None
    _take_mode_of_head(address.rpartition(":")[2])
    return address


def _named() -> str | None:
    """What the environment names: the job that we are in, or a Ray that somebody started."""
    file = os.environ.get(VARIABLE)
    if file is None:
        return os.environ.get("RAY_ADDRESS") or None
    cluster = read_cluster_file(Path(file))
    if cluster is None or not cluster.ready:
        raise UserError(f"--address auto: {file} ({VARIABLE}) is not there or not complete: that job's Ray has ended")
    return _join(cluster)


def _job_of_folder() -> tuple[SubmittedJob, ClusterFile] | None:
    """The job of this folder whose Ray is up."""
    found = [(job, cluster) for job in submitted_jobs() if (cluster := job.cluster) is not None and cluster.ready]
    running = [(job, cluster) for job, cluster in found if _is_here(cluster) or job.runs()]
    if len(running) > 1:
        names = ", ".join(str(job.folder / FILE_NAME) for job, _ in running)
        raise UserError(f"--address auto: several jobs of this folder are up; set {VARIABLE} to one of {names}")
    return running[0] if running else None


def _is_here(cluster: ClusterFile) -> bool:
    return socket.gethostname() in cluster.nodes


def _join(cluster: ClusterFile) -> str:
    os.environ.pop("RAY_AUTH_TOKEN", None)  # it would go before the file
    os.environ.update(cluster.environment())
    if cluster.end_time is not None:
        os.environ.setdefault("LARGEBATCH_END_TIME", str(cluster.end_time))
    return cluster.address


def _take_mode_of_head(port: str) -> None:
    """Authenticate as the head on this machine was told to; else by the rule of ``_has_token``."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"gcs_server") and f"--gcs_server_port={port}".encode() in words:
                told = dict(
                    one.split(b"=", 1) for one in (process / "environ").read_bytes().split(b"\0") if b"=" in one
                )
                for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
                    if name.encode() in told:
                        os.environ.setdefault(name, os.fsdecode(told[name.encode()]))


def _has_token() -> bool:
    named = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    return any(os.environ.get(name) for name in named) or (Path.home() / ".ray" / "auth_token").exists()


def _run_there(job: SubmittedJob, cluster: ClusterFile) -> NoReturn:
    sys.stdout.flush()
    print(f"largebatch: on {cluster.head}, the first node of job {job.job}", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "largebatch", *sys.argv[1:]]
    os.environ[VARIABLE] = str(job.folder / FILE_NAME)
    words = inside_command(job, cluster.head, str(Path.cwd()), command)
    try:
        os.execvpe(words[0], words, {**submission_environment(os.environ), VARIABLE: os.environ[VARIABLE]})
    except OSError as error:
        raise UserError(f"--address auto: `{shlex.join(words[:1])}` cannot be run: {error.strerror}") from error
