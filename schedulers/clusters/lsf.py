"""LSF: the batch script, and how it is submitted, watched and cancelled; nodes by ``blaunch``, or by ``jsrun``.

Run with stand-ins of LSF's commands alone.

Reference: IBM Spectrum LSF 10.1, Command Reference, "bsub" (-Q puts a job with that exit code back into the queue),
"blaunch"; IBM Job Step Manager 10.3, "jsrun".
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

NAME = "lsf"
RUNS = "RUN"


def script(allocation: Allocation, work: Work) -> str:
    """The batch script.

    Raises:
        UserError: for a folder that ``-o`` cannot name.
    """
    if "%J" in str(work.folder) or "%I" in str(work.folder):
        raise UserError(f"LSF puts numbers of its own for %J and %I of a path; got {work.folder}; rename it")
    asked = [f"-J {allocation.name}", f"-o {shlex.quote(str(work.folder / 'batch.txt'))}", f"-Q {REQUEUE_CODE}"]
    asked += _nodes(allocation)
    if allocation.time is not None:
        asked.append(f"-W {clock(allocation.time + 59).rpartition(':')[0]}")  # whole minutes, and not too few
    asked += [f"-q {allocation.queue}"] if allocation.queue is not None else []
    asked += [f"-P {allocation.account}"] if allocation.account is not None else []
    restarts = shlex.quote(str(work.folder / "restarts"))
    lines = [
        "#!/bin/bash",
        *(f"#BSUB {one}" for one in [*asked, *directives(allocation, "#BSUB")]),
        f"exec >>{shlex.quote(str(work.log))} 2>&1",
        *prologue(allocation, work),
        *warn_before_the_end(allocation),
        f"export LARGEBATCH_RESTARTS=$(cat {restarts} 2>/dev/null || echo 0)",
        f"echo $((LARGEBATCH_RESTARTS + 1)) >{restarts}",
        *wait_and_pass_on(allocation, work, [_start(allocation, work)]),
        *refuse_too_many(allocation),
        f'if [ "$code" = {REQUEUE_CODE} ]; then',
        f'  if [ "$LARGEBATCH_RESTARTS" -lt {allocation.requeues} ] && [ -z "$cancelled" ]; then',
        '    echo "largebatch: saved; back into the queue"',
        "  else",
        "    code=1  # or LSF would put it back",
        "  fi",
        "fi",
        'exit "$code"',
    ]
    return text(lines)


def _nodes(allocation: Allocation) -> list[str]:
    if allocation.jsrun:
        return [f"-nnodes {allocation.nodes}"]
    cpus = allocation.cpus_per_node or 1
    asked = [f"-n {allocation.nodes * cpus}", f'-R "span[ptile={cpus}]"']
    asked += ["-x"] if allocation.cpus_per_node is None else []
    return [*asked, *([f'-gpu "num={allocation.gpus_per_node}"'] if allocation.gpus_per_node else [])]


def _start(allocation: Allocation, work: Work) -> str:
    program = launcher(allocation, work, nodes=str(allocation.nodes))
    if allocation.jsrun:
        cpus = allocation.cpus_per_node or "ALL_CPUS"
        sets = f"--nrs {allocation.nodes} --rs_per_host 1 --tasks_per_rs 1 --cpu_per_rs {cpus}"
        return f"jsrun {sets} --gpu_per_rs {allocation.gpus_per_node} --bind none {program}"
    return f'blaunch -z "$(sort -u "$LSB_DJOB_HOSTFILE" | tr "\\n" " ")" {program}'


def submit_command(allocation: Allocation, work: Work) -> list[str]:
    """The command that submits the script; bsub reads directives from its standard input alone."""
    del allocation
    return ["/bin/sh", "-c", f"bsub <{shlex.quote(str(work.script))}"]


def job_of(output: str) -> str:
    """The job's number in what ``submit_command`` printed: ``Job <12> is submitted to queue <normal>.``."""
    return output.split("<", 1)[1].split(">", 1)[0]


def status_command(job: str) -> list[str]:
    """The command that prints the job's state and nothing else."""
    return ["bjobs", "-noheader", "-o", "stat", job]


def state_of(output: str) -> str:
    """The state in what ``status_command`` printed; nothing once it has ended, which LSF remembers for a while."""
    state = output.strip()
    return "" if state in ("DONE", "EXIT") else state


def cancel_command(job: str) -> list[str]:
    """The command that ends the job."""
    return ["bkill", job]


def inside_command(job: str, head: str, folder: str, command: list[str]) -> list[str]:
    """The command that runs another one on the job's node ``head``, from a login node."""
    del job
    return through_ssh(head, folder, command)
