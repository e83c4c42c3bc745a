"""Commands that train or time: run, train, profile."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.completion import optimizers, study_directories
from largebatch.studies.commands.options import (
    RUN,
    AddressOption,
    DirectoryArgument,
    JsonOption,
    StudyArgument,
    TaskArgument,
    counts,
    go_to_cluster,
)

app = typer.Typer()


@app.command(rich_help_panel=RUN, epilog="Example: largebatch run quickstart --out runs/quickstart")
def run(
    study: StudyArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="Study directory; runs/NAME if not given.", autocompletion=study_directories),
    ] = None,
    address: AddressOption = None,
    budget_trials: Annotated[int | None, typer.Option(min=1, help="Number of trials, in place of the study's.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Rename an earlier study in --out and start from the beginning.")
    ] = False,
    in_process: Annotated[bool, typer.Option("--in-process", help="Run without Ray, one trial at a time.")] = False,
    join: Annotated[
        bool,
        typer.Option("--join", help="Train trials for a study that another job runs; continue it when that job ends."),
    ] = False,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Database of the ledger, sqlite:///FILE or postgresql://HOST/NAME; a file if not given."
        ),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for TensorBoard event files, written while the study runs."),
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow server or database that trials are logged to.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a study, or resume it: finished trials are kept, unfinished ones continue."""
    go_to_cluster(address)
    from rich.console import Console

    from largebatch.studies.question.study_file import at_its_line, find_study, parse_study

    name, text = find_study(study)
    question = parse_study(text, name)
    directory = out or Path("runs") / question.name
    sys.path.insert(0, str(Path.cwd()))  # a task of the user's own is imported from here
    from largebatch.studies.exchange.loggers.chosen import chosen_sinks, watched
    from largebatch.studies.run import run_study
    from largebatch.studies.running.interruption import LeftEarly
    from largebatch.studies.views.terminal.progress import watch

    sinks = chosen_sinks(question, directory, tensorboard, mlflow)
    console = Console(stderr=as_json, highlight=False, markup=False)
    try:
        answer = run_study(
            question,
            directory,
            watch=watched(lambda coordinator: watch(coordinator, console), sinks),
            address=address,
            in_process=in_process,
            fresh=fresh,
            budget_trials=budget_trials,
            join=join,
            storage=storage,
        )
    except KeyboardInterrupt:
        again = f"largebatch run {study} --out {directory}"
        print(f"\nInterrupted; nothing is lost. Resume with: {again}", file=sys.stderr)
        raise typer.Exit(130) from None
    except LeftEarly as left:
        print(f"{left}; the same command goes on", file=sys.stderr)
        raise
    except UserError as mistake:
        raise at_its_line(mistake, text, name) from None
    from largebatch.studies.views.terminal.show import print_plan

    if answer.plan is not None and as_json:
        print(json.dumps(answer.plan.to_json(), indent=1))
    elif answer.plan is not None:
        print_plan(answer.plan)
    console.print(f"The report: {directory / 'report.html'}", soft_wrap=True)
    if answer.plan is None:
        raise UserError(answer.problem or "there is no plan")


@app.command(rich_help_panel=RUN, epilog="Example: largebatch train runs/quickstart --workers 8")
def train(
    directory: DirectoryArgument,
    workers: Annotated[
        int, typer.Option(min=1, help="Number of workers whose recipe is trained, on as many devices as there are.")
    ],
    examples: Annotated[
        int | None, typer.Option(min=1, help="Number of examples to train on; the limit of a trial by default.")
    ] = None,
    until_target: Annotated[bool, typer.Option("--until-target", help="Stop when the target is reached.")] = False,
    address: AddressOption = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="Run without Ray, on one device.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Rename an earlier training and start from the beginning.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train the plan's recipe for a number of workers; the same command resumes it."""
    go_to_cluster(address)
    sys.path.insert(0, str(Path.cwd()))  # a task of the user's own is imported from here
    from largebatch.studies.running.interruption import LeftEarly
    from largebatch.studies.training.train import plan_training, train
    from largebatch.studies.views.terminal.train_progress import TrainProgress, print_result

    planned = plan_training(directory, workers, examples)
    try:
        with TrainProgress(quiet=as_json) as progress:
            result = train(
                planned,
                on_progress=progress.show,
                until_target=until_target,
                address=address,
                in_process=in_process,
                fresh=fresh,
            )
    except (KeyboardInterrupt, LeftEarly) as left:
        again = f"largebatch train {directory} --workers {workers}"
        print(f"{str(left) or 'Interrupted and saved'}. Go on with: {again}", file=sys.stderr)
        raise
    if as_json:
        print(json.dumps(result, indent=1))
    else:
        print_result(result)


@app.command(
    rich_help_panel=RUN, epilog="Example: largebatch profile digits --workers 1,2 --local-batch-sizes 32,64,128"
)
def profile(
    task: TaskArgument,
    workers: Annotated[
        str | None, typer.Option(help="Numbers of real workers, as in 1,2; powers of two by default.")
    ] = None,
    local_batch_sizes: Annotated[str, typer.Option(help="Batch sizes of a worker, in examples.")] = "16,32,64,128,256",
    norm_batch_size: Annotated[int, typer.Option(min=1, help="Number of examples that share batch statistics.")] = 32,
    optimizer: Annotated[
        str, typer.Option(help="Optimizer whose step is timed.", autocompletion=optimizers)
    ] = "nesterov",
    precision: Annotated[str, typer.Option(help="Precision of the computation: float32 or bfloat16.")] = "float32",
    memory_format: Annotated[
        str, typer.Option(help="Memory format of images: contiguous or channels_last.")
    ] = "contiguous",
    compiled: Annotated[
        str, typer.Option("--compile", help="Mode of torch.compile: no, default or reduce-overhead.")
    ] = "no",
    address: AddressOption = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="Run without Ray, one worker.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Time training steps at several local batch sizes and numbers of real workers, with their spread."""
    go_to_cluster(address)
    from largebatch.studies.training.step_profile import print_profile, profile_question, profile_task

    sys.path.insert(0, str(Path.cwd()))
    recipe, execution = profile_question(
        {"norm_batch_size": norm_batch_size, "optimizer": optimizer},
        {"precision": precision, "memory_format": memory_format, "compile": compiled},
    )
    found = profile_task(
        task,
        workers=counts("--workers", workers),
        local_batch_sizes=counts("--local-batch-sizes", local_batch_sizes) or [],
        recipe=recipe,
        execution=execution,
        address=address,
        in_process=in_process,
    )
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print_profile(found)
