"""The parts of a batch script that all systems share.

The script is a shell script that a reader can follow: it asks, makes the environment, starts the launcher once on every
node, passes on the system's warning, and ends with the command's exit code.
"""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from largebatch.schedulers.clusters.allocation import Allocation
from largebatch.schedulers.clusters.cluster_file import VARIABLE
from largebatch.spaces.errors import UserError

LAUNCHER = "largebatch.schedulers.clusters.launcher"
REQUEUE_CODE = 75
"""The exit code of a command that saved itself and would go on in another job (EX_TEMPFAIL of sysexits.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is run, and where: ``folder`` is on a file system that all nodes share; no ``command``: hold the nodes."""

    command: tuple[str, ...]
    folder: Path
    working_folder: Path
    python: str

    @property
    def log(self) -> Path:
        """What the job prints."""
        return self.folder / "log.txt"

    @property
    def script(self) -> Path:
        """The batch script."""
        return self.folder / "job.sh"

    @property
    def job(self) -> Path:
        """The number of the job that runs or waits."""
        return self.folder / "job"


def launcher(allocation: Allocation, work: Work, *, nodes: str) -> str:
    """The command line that is started on every node; ``nodes`` is how many there are, as shell text."""
    words = ["--folder", str(work.folder)]
    if allocation.cpus_per_node is not None:
        words += ["--cpus", str(allocation.cpus_per_node)]
    if allocation.gpus_per_node:
        words += ["--gpus", str(allocation.gpus_per_node)]
    if allocation.interface is not None:
        words += ["--interface", allocation.interface]
    if allocation.min_nodes is not None:
        words += ["--min-nodes", str(allocation.min_nodes)]
    words += ["--", *work.command] if work.command else ["--hold"]
    return f"{_program(allocation, work)} node --nodes {nodes} {shlex.join(words)}"


def directives(allocation: Allocation, mark: str) -> list[str]:
    """The further requests, without the ``mark`` that the system's own lines begin with; it is often copied along.

    Raises:
        UserError: for any other line that the system would take for a comment.
    """
    found = []
    for one in allocation.directives:
        text = one.strip().removeprefix(mark).strip()
        if text.startswith("#") or not text:
            raise UserError(
                f"--directive: what begins with # is a comment here; got {one!r}; give the request as {mark} takes it, "
                f"without {mark}"
            )
        try:
            shlex.split(text)
        except ValueError as error:
            raise UserError(f"--directive: {one!r} cannot be read: {error}") from error
        found.append(text)
    return found


def prologue(allocation: Allocation, work: Work) -> list[str]:
    """What every node does first."""
    lines = [f"cd {shlex.quote(str(work.working_folder))}", "export LARGEBATCH_BATCH_HOST=$(hostname)"]
    return [*lines, *allocation.prologue]


def wait_and_pass_on(allocation: Allocation, work: Work, start: list[str]) -> list[str]:
    """Run ``start`` (its last line is the program), pass on USR1 and TERM; set ``code`` and, by TERM, ``cancelled``."""
    folder = shlex.quote(str(work.folder))
    return [
        f"folder={folder}",
        'rm -rf "$folder"/cluster.json "$folder"/exit "$folder"/head',
        f'leave() {{ {_program(allocation, work)} leave --folder "$folder" & }}',
        "cancelled=",
        "trap leave USR1",
        "trap 'cancelled=yes; leave' TERM",
        *start[:-1],
        f"{start[-1]} &",
        "nodes=$!",
        'wait "$nodes"; code=$?',
        'while kill -0 "$nodes" 2>/dev/null; do wait "$nodes"; code=$?; done  # a signal ends a wait, not the job',
        'if [ -s "$folder"/exit ]; then code=$(cat "$folder"/exit)',
        f'elif [ "$code" = 0 ]; then code={REQUEUE_CODE}; fi  # the head was lost, and nothing failed',
    ]


def refuse_too_many(allocation: Allocation) -> list[str]:
    """Say so where the command would go on and the job is not put back: it may never get any further."""
    return [
        f'if [ "$code" = {REQUEUE_CODE} ] && [ "$LARGEBATCH_RESTARTS" -ge {allocation.requeues} ]; then',
        '  echo "largebatch: unfinished, and not put back: it was $LARGEBATCH_RESTARTS times, and requeues is'
        f' {allocation.requeues}; what it saved is there, submit it again to go on"',
        "fi",
    ]


def warn_before_the_end(allocation: Allocation) -> list[str]:
    """When the time is over, and USR1 before it, for a system that does neither."""
    if allocation.time is None:
        return []
    early = allocation.time - allocation.warning_seconds
    return [
        f"export LARGEBATCH_END_TIME=$(($(date +%s) + {allocation.time}))",
        f'(sleep {early} & clock=$!; trap \'kill "$clock" 2>/dev/null\' EXIT; wait "$clock" && kill -USR1 $$) &',
        "warning=$!",
        "trap 'kill \"$warning\" 2>/dev/null' EXIT",
    ]


def clock(seconds: int) -> str:
    """``H:MM:SS``, with as many hours as it takes."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def text(lines: list[str]) -> str:
    """The whole script."""
    return "\n".join(lines) + "\n"


def through_ssh(host: str, folder: str, command: list[str]) -> list[str]:
    """A command on a node of one's own job, where the batch system has no way to run one there; sites allow it."""
    named = f"{VARIABLE}={shlex.quote(os.environ.get(VARIABLE, ''))}"
    return ["ssh", "-t", host, f"cd {shlex.quote(folder)} && {named} exec {shlex.join(command)}"]


def _program(allocation: Allocation, work: Work) -> str:
    if allocation.container is None:
        return f"{shlex.quote(work.python)} -m {LAUNCHER}"
    gpus = " --nv" if allocation.gpus_per_node else ""
    folder = shlex.quote(str(work.working_folder))
    return f"apptainer exec{gpus} --bind {folder} {shlex.quote(allocation.container)} python3 -m {LAUNCHER}"
