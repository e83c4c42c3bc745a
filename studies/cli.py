"""The ``largebatch`` command. Each command imports what it needs when it runs, so that ``--help`` is quick."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from largebatch.spaces.user_mistake import UserMistake

if TYPE_CHECKING:
    from largebatch.search.laws.fitting import Network
    from largebatch.studies.answer import Answer

NOT_BUILT = (
    *("dashboard", "prepare", "enqueue", "stop", "narrow", "export", "import"),
    *("history", "benchmark", "new", "check", "cluster", "doctor"),
)
"""Commands of the design that this version refuses by name."""

app = typer.Typer(
    help="Search batch size, learning rate and optimizer on the devices you have; predict the rest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)

StudyArgument = Annotated[str, typer.Argument(help="A study file, or the name of a study that ships (see `list`).")]
DirectoryArgument = Annotated[Path, typer.Argument(help="A study directory: the --out of a `run`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
InterconnectOption = Annotated[
    str | None, typer.Option(help="The network between nodes, as in ib-edr or ethernet-10g; see `list`.")
]
WorkersPerNodeOption = Annotated[int | None, typer.Option(min=1, help="Devices of a node; all alike if not given.")]


@app.command(epilog="Example: largebatch run quickstart --out runs/quickstart")
def run(
    study: StudyArgument,
    out: Annotated[Path | None, typer.Option(help="Study directory; runs/NAME if not given.")] = None,
    address: Annotated[str | None, typer.Option(help="A Ray cluster's address; a Ray of our own if not given.")] = None,
    budget_trials: Annotated[int | None, typer.Option(min=1, help="Overrides the study's number of trials.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set an earlier study in --out aside and start anew.")] = False,
    in_process: Annotated[bool, typer.Option("--in-process", help="Without Ray, one trial at a time.")] = False,
) -> None:
    """Run a study, or resume it: finished trials stay, running ones go on."""
    from rich.console import Console

    from largebatch.studies.study_file import find_study, parse_study

    name, text = find_study(study)
    question = parse_study(text, name)
    directory = out or Path("runs") / question.name
    sys.path.insert(0, str(Path.cwd()))  # a task of the user's own is imported from here
    from largebatch.studies.run import run_study
    from largebatch.studies.terminal.progress import watch

    console = Console()
    try:
        answer = run_study(
            question,
            directory,
            watch=lambda coordinator: watch(coordinator, console),
            address=address,
            in_process=in_process,
            fresh=fresh,
            budget_trials=budget_trials,
        )
    except KeyboardInterrupt:
        again = f"largebatch run {study} --out {directory}"
        print(f"\nInterrupted; nothing is lost. Resume with: {again}", file=sys.stderr)
        raise typer.Exit(130) from None
    from largebatch.studies.terminal.show import print_plan

    if answer.plan is not None:
        print_plan(answer.plan)
    console.print(f"The report: {directory / 'report.html'}", soft_wrap=True, highlight=False)
    if answer.plan is None:
        raise UserMistake(answer.problem or "there is no plan")


@app.command(epilog="Example: largebatch show runs/quickstart --json")
def show(directory: DirectoryArgument, as_json: JsonOption = False) -> None:
    """Show trials, the best recipe for each batch size, the laws, and what is running."""
    from largebatch.studies.terminal.show import print_study, study_json

    answer = _read(directory)
    if as_json:
        print(json.dumps(study_json(answer), indent=1))
    else:
        print_study(answer)


@app.command(epilog="Example: largebatch plan runs/quickstart --workers 1,8,64 --json")
def plan(
    directory: DirectoryArgument,
    workers: Annotated[
        str | None, typer.Option(help="Worker counts, as in 1,2,4 or 1-4096; the study's if not given.")
    ] = None,
    within_hours: Annotated[float | None, typer.Option(min=0, help="Name the fewest workers that end in time.")] = None,
    device_hour_cost: Annotated[float | None, typer.Option(min=0, help="Price of a device for an hour.")] = None,
    interconnect: InterconnectOption = None,
    workers_per_node: WorkersPerNodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """For each worker count: the best recipe, time and cost to the target with a 90 % interval."""
    from largebatch.search.laws.fitting import Network

    answer = _read(
        directory,
        workers=_counts("--workers", workers),
        device_hour_cost=device_hour_cost,
        seconds_allowed=None if within_hours is None else 3600 * within_hours,
        network=Network(workers_per_node=workers_per_node, interconnect=interconnect),
    )
    if answer.plan is None:
        raise UserMistake(answer.problem or "there is no plan")
    if as_json:
        print(json.dumps(answer.plan.to_json(), indent=1))
        return
    from largebatch.studies.terminal.show import print_plan

    print_plan(answer.plan)


@app.command(epilog="Example: largebatch fit mine.csv --predict 16384,65536")
def fit(
    file: Annotated[Path, typer.Argument(help="A CSV with global_batch_size and one of steps, epochs, examples.")],
    predict: Annotated[str | None, typer.Option(help="Batch sizes, as in 16384,65536.")] = None,
    predict_workers: Annotated[str | None, typer.Option(help="Worker counts, as in 128,1024.")] = None,
    predict_batch: Annotated[
        str | None, typer.Option(help="The batch size of each of those, where the file's differ.")
    ] = None,
    interconnect: InterconnectOption = None,
    workers_per_node: WorkersPerNodeOption = None,
    gradient_bytes: Annotated[
        float | None, typer.Option(min=1, help="Bytes summed over workers in a step; 50e6 if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the same laws to your own numbers, one row a training; nothing is trained.

    Repeats are repeated rows. Further columns: group, censored (1 where the target was not reached), learning_rate,
    and num_workers with seconds (to the target) or step_seconds.
    """
    from largebatch.search.laws.fitting import Network
    from largebatch.studies.own_fit import Asked, fit_table, print_fit
    from largebatch.studies.own_numbers import read_table

    found = fit_table(
        read_table(file),
        Asked(
            batch_sizes=_counts("--predict", predict) or [],
            workers=_listed("--predict-workers", predict_workers) or [],
            batches=_listed("--predict-batch", predict_batch),
        ),
        network=Network(workers_per_node=workers_per_node, interconnect=interconnect),
        gradient_bytes=gradient_bytes,
    )
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print_fit(found)


@app.command(epilog="Example: largebatch train runs/quickstart --workers 8")
def train(
    directory: DirectoryArgument,
    workers: Annotated[int, typer.Option(min=1, help="Workers that the plan is asked for; as many devices as here.")],
    examples: Annotated[int | None, typer.Option(min=1, help="Examples to train; a trial's limit by default.")] = None,
    until_target: Annotated[bool, typer.Option("--until-target", help="End at the target.")] = False,
    address: Annotated[str | None, typer.Option(help="A Ray cluster's address; a Ray of our own if not given.")] = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="Without Ray, on one device.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Set an earlier training aside and start anew.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the recipe that the plan gives to so many workers; saved, and resumed by the same command."""
    sys.path.insert(0, str(Path.cwd()))  # a task of the user's own is imported from here
    from largebatch.studies.terminal.train_progress import TrainProgress, print_result
    from largebatch.studies.train import plan_training, train

    planned = plan_training(directory, workers, examples)
    with TrainProgress(quiet=as_json) as progress:
        result = train(
            planned,
            on_progress=progress.show,
            until_target=until_target,
            address=address,
            in_process=in_process,
            fresh=fresh,
        )
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        print_result(result)
    if result["outcome"] == "preempted":
        print(f"Saved. Go on with: largebatch train {directory} --workers {workers}", file=sys.stderr)
        raise typer.Exit(130)


@app.command(epilog="Example: largebatch profile digits --workers 1,2 --local-batch-sizes 32,64,128")
def profile(
    task: Annotated[str, typer.Argument(help="A task that ships (see `list`), or package.module:function.")],
    workers: Annotated[str | None, typer.Option(help="Real workers, as in 1,2; powers of two by default.")] = None,
    local_batch_sizes: Annotated[str, typer.Option(help="Examples a worker and step.")] = "16,32,64,128,256",
    norm_batch_size: Annotated[int, typer.Option(min=1, help="Examples that share batch statistics.")] = 32,
    optimizer: Annotated[str, typer.Option(help="Whose step is timed.")] = "nesterov",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    memory_format: Annotated[str, typer.Option(help="contiguous or channels_last.")] = "contiguous",
    compiled: Annotated[str, typer.Option("--compile", help="no, default or reduce-overhead.")] = "no",
    address: Annotated[str | None, typer.Option(help="A Ray cluster's address; a Ray of our own if not given.")] = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="Without Ray, one worker.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Time training steps over local batch sizes and real workers, with their spread."""
    from largebatch.studies.step_profile import print_profile, profile_question, profile_task

    sys.path.insert(0, str(Path.cwd()))
    recipe, execution = profile_question(
        {"norm_batch_size": norm_batch_size, "optimizer": optimizer},
        {"precision": precision, "memory_format": memory_format, "compile": compiled},
    )
    found = profile_task(
        task,
        workers=_counts("--workers", workers),
        local_batch_sizes=_counts("--local-batch-sizes", local_batch_sizes) or [],
        recipe=recipe,
        execution=execution,
        address=address,
        in_process=in_process,
    )
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print_profile(found)


@app.command(epilog="Example: largebatch report runs/quickstart -o report.html")
def report(
    directory: DirectoryArgument,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The page; DIRECTORY/report.html if not given.")
    ] = None,
) -> None:
    """Write one self-contained HTML page."""
    from largebatch.studies.answer import write_answer_report
    from largebatch.studies.record.directory import StudyDirectory

    answer = _read(directory)
    path = out or directory / "report.html"
    try:
        write_answer_report(StudyDirectory.existing(directory), answer, path)
    except OSError as error:
        raise UserMistake(f"{path} cannot be written: {error.strerror}; choose another -o") from error
    print(path)


@app.command(name="list", epilog="Example: largebatch list")
def list_names(as_json: JsonOption = False) -> None:
    """List the tasks, searchers, schedulers, rules and studies that ship."""
    from largebatch.studies.terminal.show import names_that_ship

    names = names_that_ship()
    if as_json:
        print(json.dumps(names, indent=1))
        return
    for kind, members in names.items():
        print(f"{kind}: {', '.join(members)}")


def _read(
    directory: Path,
    *,
    workers: list[int] | None = None,
    device_hour_cost: float | None = None,
    seconds_allowed: float | None = None,
    network: "Network | None" = None,
) -> "Answer":
    from largebatch.studies.answer import read_answer
    from largebatch.studies.record.directory import StudyDirectory

    return read_answer(
        StudyDirectory.existing(directory),
        workers=workers,
        device_hour_cost=device_hour_cost,
        seconds_allowed=seconds_allowed,
        network=network,
    )


def _counts(option: str, text: str | None) -> list[int] | None:
    """Whole numbers in rising order, each once."""
    listed = _listed(option, text)
    return None if listed is None else sorted(set(listed))


def _listed(option: str, text: str | None) -> list[int] | None:
    """Whole numbers as they were given; 1-8 stands for all from 1 to 8."""
    if text is None:
        return None
    counts: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            counts += range(int(first), int(last or first) + 1)
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise UserMistake(f"{option} must be whole numbers from 1 on, as in 1,2,4 or 1-8; got {text!r}")
    return counts


def main() -> None:
    """Run the command line: exit code 0, 2 for a user's mistake, 130 on Ctrl-C, 1 for anything else."""
    if len(sys.argv) > 1 and sys.argv[1] in NOT_BUILT:
        built = ", ".join(sorted(typer.main.get_group(app).commands))
        print(f"largebatch: `{sys.argv[1]}` is not built yet; built: {built}", file=sys.stderr)
        sys.exit(2)
    try:
        app()
    except UserMistake as mistake:
        print(f"largebatch: {mistake}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
