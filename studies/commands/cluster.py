"""``cluster``: jobs of Slurm, PBS and LSF that bring Ray up on their nodes and run a command."""

import getpass
import json
import shlex
import socket
from typing import Annotated, Any

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.options import CLUSTER, JsonOption

app = typer.Typer()
cluster = typer.Typer(no_args_is_help=True, help="Submit a job that starts Ray on its nodes and runs a command.")
app.add_typer(cluster, name="cluster", rich_help_panel=CLUSTER, epilog="Example: largebatch cluster slurm --hold")

CommandArgument = Annotated[
    list[str] | None, typer.Argument(metavar="-- COMMAND", help="Command to run when all nodes have joined.")
]
NodesOption = Annotated[int | None, typer.Option(help="Number of nodes; 1 by default.")]
GpusOption = Annotated[int | None, typer.Option(help="Number of GPUs of each node.")]
CpusOption = Annotated[int | None, typer.Option(help="Number of CPUs of each node; whole nodes if not given.")]
TimeOption = Annotated[
    str | None, typer.Option(help="Time limit: H:MM:SS, minutes or D-HH:MM:SS; the queue's if not given.")
]
QueueOption = Annotated[str | None, typer.Option("--partition", "--queue", help="Partition or queue.")]
AccountOption = Annotated[str | None, typer.Option(help="Account or project that is charged.")]
PrologueOption = Annotated[
    list[str] | None,
    typer.Option(help="Shell line to run before Ray starts, as in 'module load cuda'; may be repeated."),
]
DirectiveOption = Annotated[
    list[str] | None, typer.Option(help="Option of the batch system, as in --mem=0; may be repeated.")
]
InterfaceOption = Annotated[str | None, typer.Option(help="Network interface between nodes, as in ib0.")]
ContainerOption = Annotated[str | None, typer.Option(help="Apptainer image with Python and largebatch.")]
SiteOption = Annotated[
    str | None, typer.Option(help="Name of a site, whose defaults are in ~/.config/largebatch/sites/NAME.yaml.")
]
MinNodesOption = Annotated[
    int | None, typer.Option(help="Smallest number of nodes to start with when others do not come up.")
]
HoldOption = Annotated[bool, typer.Option("--hold", help="Keep the nodes for `--address auto`, in place of a command.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the script; submit nothing.")]


def _submits(system: str, example: str) -> None:
    def submit(
        command: CommandArgument = None,
        nodes: NodesOption = None,
        gpus_per_node: GpusOption = None,
        cpus_per_node: CpusOption = None,
        time: TimeOption = None,
        queue: QueueOption = None,
        account: AccountOption = None,
        prologue: PrologueOption = None,
        directive: DirectiveOption = None,
        interface: InterfaceOption = None,
        container: ContainerOption = None,
        min_nodes: MinNodesOption = None,
        site: SiteOption = None,
        hold: HoldOption = False,
        dry_run: DryRunOption = False,
        as_json: JsonOption = False,
    ) -> None:
        given = {
            "nodes": nodes, "gpus_per_node": gpus_per_node, "cpus_per_node": cpus_per_node, "time": time,
            "queue": queue, "account": account, "prologue": prologue, "directives": directive, "interface": interface,
            "container": container, "min_nodes": min_nodes,
        }  # fmt: skip
        asked = {name: value for name, value in given.items() if value not in (None, [])}
        _submit(system, asked, command or [], site, hold=hold, dry_run=dry_run, as_json=as_json)

    submit.__doc__ = f"Submit to {_NAMES[system]}."
    cluster.command(system, epilog=f"Example: largebatch cluster {system} {example}")(submit)


_NAMES = {"slurm": "Slurm", "pbs": "PBS Pro or OpenPBS", "lsf": "LSF"}
_submits("slurm", "--nodes 2 --cpus-per-node 16 --time 4:00:00 -- largebatch run mystudy.yaml --address auto")
_submits("pbs", "--nodes 2 --gpus-per-node 4 --time 4:00:00 -- largebatch run mystudy.yaml --address auto")
_submits("lsf", "--nodes 2 --gpus-per-node 4 --time 4:00:00 -- largebatch run mystudy.yaml --address auto")


def _submit(
    system: str,
    given: dict[str, Any],
    command: list[str],
    site: str | None,
    *,
    hold: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    from largebatch.schedulers.clusters.jobs import SYSTEMS, new_work, submit
    from largebatch.studies.question.cluster_site import allocation

    if hold == bool(command):
        raise UserError("give either a command after `--`, or --hold to keep the nodes for `--address auto`")
    asked = allocation(given, site, system)
    work = new_work(asked, command)
    if dry_run:
        script = SYSTEMS[system].script(asked, work)
        print(json.dumps({"system": system, "script": script}, indent=1) if as_json else script.removesuffix("\n"))
        return
    job = submit(system, asked, work)
    if as_json:
        print(json.dumps({"job": job.job, "system": system, "log": str(work.log)}, indent=1))
        return
    host, port = socket.gethostname(), 8050
    print(f"Job {job.job}")
    print(f"Log: {work.log}")
    if hold:
        print("Use it: largebatch run STUDY --address auto")
    print(f"Dashboard: largebatch dashboard runs --port {port}   (here)")
    print(f"Tunnel:    ssh -N -L {port}:127.0.0.1:{port} {getpass.getuser()}@{host}   (on your own machine)")


@cluster.command(epilog="Example: largebatch cluster status")
def status(as_json: JsonOption = False) -> None:
    """List the jobs that were submitted from this folder."""
    from largebatch.schedulers.clusters.jobs import submitted_jobs

    rows = []
    for job in submitted_jobs():
        up = job.cluster
        rows.append(
            {
                "job": job.job,
                "system": job.system,
                "state": job.state(),
                "log": str(job.folder / "log.txt"),
                "head": up.head if up else None,
                "nodes": list(up.nodes) if up else [],
            }
        )
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        ray = f"Ray on {', '.join(row['nodes'])}" if row["nodes"] else "no Ray"
        print(f"{row['job']}  {row['system']}  {row['state']}  {ray}  {row['log']}")
    if not rows:
        print("No job was submitted from this folder.")


@cluster.command(epilog="Example: largebatch cluster stop 4711")
def stop(
    job: Annotated[str | None, typer.Argument(help="Job to end; the only running one if not given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """End a job; a study in it saves, and is not put back into the queue."""
    from largebatch.schedulers.clusters.jobs import cancel, submitted_jobs

    running = [one for one in submitted_jobs() if job in (None, one.job) and one.state() != "ended"]
    if len(running) != 1:
        there = shlex.join(one.job for one in running) or "none"
        raise UserError(f"name one job of this folder that runs: {there}; `largebatch cluster status` lists them")
    cancel(running[0])
    if as_json:
        print(json.dumps({"job": running[0].job, "system": running[0].system}, indent=1))
        return
    print(f"Job {running[0].job} is told to end.")
