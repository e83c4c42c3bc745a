"""PBS Pro and OpenPBS: the batch script, and how it is submitted, watched and cancelled.

``pbsdsh`` gives what it starts no environment, so the script writes its own down for the nodes. A job cannot put itself
back into the queue, so the script submits itself again. Run with stand-ins of PBS's commands alone.

Reference: Altair PBS Professional 2024.1, Reference Guide, "qsub", "pbsdsh".
"""

import shlex

from largebatch.schedulers.clusters.allocation import Allocation
from largebatch.schedulers.clusters.batch_script import (
    REQUEUE_CODE,
    Work,
    clock,
    directives,
    launcher,
    prologue,
    refuse_too_many,
    text,
    through_ssh,
    wait_and_pass_on,
    warn_before_the_end,
)
from largebatch.spaces.errors import UserError

NAME = "pbs"
RUNS = "R"


def script(allocation: Allocation, work: Work) -> str:
    """The batch script.

    Raises:
        UserError: for a folder that ``-o`` cannot name.
    """
    if ":" in str(work.folder):
        raise UserError(f"PBS takes what stands before a colon in a path for a host; got {work.folder}; rename it")
    chunk = f"{allocation.nodes}:ncpus={allocation.cpus_per_node or 1}"
    chunk += f":ngpus={allocation.gpus_per_node}" if allocation.gpus_per_node else ""
    whole_nodes = ":excl" if allocation.cpus_per_node is None else ""
    asked = [f"-N {allocation.name[:15]}", "-j oe", f"-o {shlex.quote(str(work.folder / 'batch.txt'))}", "-r y"]
    asked += [f"-l select={chunk}", f"-l place=scatter{whole_nodes}"]
    asked += [f"-l walltime={clock(allocation.time)}"] if allocation.time is not None else []
    asked += [f"-q {allocation.queue}"] if allocation.queue is not None else []
    asked += [f"-A {allocation.account}"] if allocation.account is not None else []
    environment = shlex.quote(str(work.folder / "environment"))
    folder = shlex.quote(str(work.working_folder))
    node = f"cd {folder} && . {environment} && exec {launcher(allocation, work, nodes=str(allocation.nodes))}"
    lines = [
        "#!/bin/bash",
        *(f"#PBS {one}" for one in [*asked, *directives(allocation, "#PBS")]),
        f"exec >>{shlex.quote(str(work.log))} 2>&1",
        *prologue(allocation, work),
        *warn_before_the_end(allocation),
        "export LARGEBATCH_RESTARTS=${LARGEBATCH_RESTARTS:-0}",
        f"(umask 077; unset CUDA_VISIBLE_DEVICES TMPDIR PBS_NODENUM PBS_TASKNUM; export -p >{environment})",
        *wait_and_pass_on(allocation, work, [f"pbsdsh -- /bin/bash -c {shlex.quote(node)}"]),
        *refuse_too_many(allocation),
        f'if [ "$code" = {REQUEUE_CODE} ] && [ "$LARGEBATCH_RESTARTS" -lt {allocation.requeues} ] &&',
        '  [ -z "$cancelled" ]; then  # PBS itself puts back what it takes the nodes of',
        '  echo "largebatch: saved; back into the queue"',
        f'  qsub -v "LARGEBATCH_RESTARTS=$((LARGEBATCH_RESTARTS + 1))" {shlex.quote(str(work.script))} '
        f">{shlex.quote(str(work.job))}",
        "fi",
        'exit "$code"',
    ]
    return text(lines)


def submit_command(allocation: Allocation, work: Work) -> list[str]:
    """The command that submits the script."""
    del allocation
    return ["qsub", str(work.script)]


def job_of(output: str) -> str:
    """The job's number in what ``submit_command`` printed."""
    return output.strip().splitlines()[-1]


def status_command(job: str) -> list[str]:
    """The command that prints the job's state among other things; an error once it is gone."""
    return ["qstat", "-f", "-F", "json", job]


def state_of(output: str) -> str:
    """The state in what ``status_command`` printed: PBS's letter."""
    return next((line.split('"')[3] for line in output.splitlines() if '"job_state"' in line), "")


def cancel_command(job: str) -> list[str]:
    """The command that ends the job."""
    return ["qdel", job]


def inside_command(job: str, head: str, folder: str, command: list[str]) -> list[str]:
    """The command that runs another one on the job's node ``head``, from a login node."""
    del job
    return through_ssh(head, folder, command)
