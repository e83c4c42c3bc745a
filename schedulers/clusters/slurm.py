"""Slurm: the batch script, and how it is submitted, watched and cancelled. Run with Slurm 22.05.

Of ``sbatch``'s options the command line's go before ``SBATCH_*`` of the environment, and these before the script's: so
what the script asks for is on the command line too, and ``SBATCH_EXPORT=NONE`` does not take the prologue's work away.
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
    wait_and_pass_on,
)

NAME = "slurm"
RUNS = "RUNNING"


def script(allocation: Allocation, work: Work) -> str:
    """The batch script."""
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH {shlex.quote(one)}" for one in _asked(allocation, work)),
        *(f"#SBATCH {one}" for one in directives(allocation, "#SBATCH")),
        *prologue(allocation, work),
        *_end_time(allocation),
        "export LARGEBATCH_RESTARTS=${SLURM_RESTART_COUNT:-0}",
        *wait_and_pass_on(allocation, work, _start(allocation, work)),
        *refuse_too_many(allocation),
        f'if [ "$code" = {REQUEUE_CODE} ] && [ "$LARGEBATCH_RESTARTS" -lt {allocation.requeues} ] &&',
        '  [ "$(timeout 60 squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)" = RUNNING ]; then  # not cancelled',
        '  echo "largebatch: saved; back into the queue"',
        '  timeout 60 scontrol requeue "$SLURM_JOB_ID" && sleep 60  # Slurm ends this script',
        "fi",
        'exit "$code"',
    ]
    return text(lines)


def _asked(allocation: Allocation, work: Work) -> list[str]:
    """The options of ``sbatch``, but for the directives; in the log's name ``%j`` would be the job's number."""
    log = str(work.log).replace("%", "%%")
    asked = [f"--job-name={allocation.name}", f"--output={log}", "--open-mode=append", "--export=ALL"]
    asked += [f"--nodes={allocation.nodes}", "--ntasks-per-node=1", "--no-kill", "--requeue"]
    asked += ["--exclusive"] if allocation.cpus_per_node is None else [f"--cpus-per-task={allocation.cpus_per_node}"]
    asked += [f"--gpus-per-node={allocation.gpus_per_node}"] if allocation.gpus_per_node else []
    asked += [f"--time={clock(allocation.time)}"] if allocation.time is not None else []
    asked += [f"--partition={allocation.queue}"] if allocation.queue is not None else []
    asked += [f"--account={allocation.account}"] if allocation.account is not None else []
    return [*asked, f"--signal=B:USR1@{allocation.warning_seconds}"]


def _start(allocation: Allocation, work: Work) -> list[str]:
    """One ``srun`` for all nodes; one for each where some may be missing, for a single dead one ends an ``srun``."""
    cpus = "" if allocation.cpus_per_node is None else f" --cpus-per-task={allocation.cpus_per_node}"
    gpus = f" --gpus-per-node={allocation.gpus_per_node}" if allocation.gpus_per_node else ""
    program = launcher(allocation, work, nodes="$SLURM_JOB_NUM_NODES")
    if allocation.min_nodes is None:
        every = f"--nodes=$SLURM_JOB_NUM_NODES --ntasks-per-node=1{cpus}{gpus} --no-kill --kill-on-bad-exit=0 --wait=0"
        return [f"srun --export=ALL {every} \\", f"  {program}"]
    return [
        "each_node() {",
        "  trap : USR1 TERM",
        "  steps=() worst=0",
        '  for node in $(scontrol show hostnames "$SLURM_JOB_NODELIST"); do',
        f'    srun --export=ALL --nodes=1 --ntasks=1 --nodelist="$node"{cpus}{gpus} \\',
        f"      {program} &",
        "    steps+=($!)",
        "  done",
        '  for step in "${steps[@]}"; do',
        '    wait "$step"; code=$?',
        '    while kill -0 "$step" 2>/dev/null; do wait "$step"; code=$?; done',
        '    [ "$code" -le "$worst" ] || worst=$code',
        "  done",
        '  exit "$worst"',
        "}",
        "each_node",
    ]


def submit_command(allocation: Allocation, work: Work) -> list[str]:
    """The command that submits the script."""
    further = [word for one in directives(allocation, "#SBATCH") for word in shlex.split(one)]
    return ["sbatch", "--parsable", *_asked(allocation, work), *further, str(work.script)]


def job_of(output: str) -> str:
    """The job's number in what ``submit_command`` printed."""
    return output.strip().splitlines()[-1].split(";")[0]


def status_command(job: str) -> list[str]:
    """The command that prints the job's state and nothing else; nothing, or an error, once it is gone."""
    return ["squeue", "--noheader", f"--jobs={job}", "--format=%T"]


def state_of(output: str) -> str:
    """The state in what ``status_command`` printed."""
    return output.strip()


def cancel_command(job: str) -> list[str]:
    """The command that ends the job."""
    return ["scancel", job]


def inside_command(job: str, head: str, folder: str, command: list[str]) -> list[str]:
    """The command that runs another one on the job's node ``head``, from a login node."""
    step = ["srun", f"--jobid={job}", "--overlap", "--nodes=1", "--ntasks=1", "--mem=0", f"--nodelist={head}"]
    return [*step, "--disable-status", "--unbuffered", f"--chdir={folder}", *command]


def _end_time(allocation: Allocation) -> list[str]:
    """Slurm knows it since 22.05 from ``squeue`` and puts it into the environment from 23.02 on."""
    limit = [] if allocation.time is None else [f'[ -n "$end" ] || end=$(($(date +%s) + {allocation.time}))']
    return [
        "end=${SLURM_JOB_END_TIME:-}",
        'if [ -z "$end" ]; then',
        '  end=$(SLURM_TIME_FORMAT=standard timeout 60 squeue --noheader --jobs="$SLURM_JOB_ID" --format=%e)',
        '  end=$([ -n "$end" ] && date --date="$end" +%s 2>/dev/null)  # "N/A" without a limit',
        "fi",
        *limit,
        '[ -z "$end" ] || export LARGEBATCH_END_TIME=$end',
    ]
