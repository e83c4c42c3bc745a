"""Commands that begin with a user's own task: new, check."""

import json
import sys
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.completion import checkable, task_kinds
from largebatch.studies.commands.options import START, JsonOption

app = typer.Typer()
T = TypeVar("T")


@app.command(
    rich_help_panel=START, epilog="Example: largebatch new --name mystudy --kind plain --workers 64 --minutes 20"
)
def new(
    name: Annotated[str | None, typer.Option(help="Name of the study, its file and its directory.")] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            help="Library of the task's template: plain, lightning, huggingface or train-step.",
            autocompletion=task_kinds,
        ),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Largest number of workers in the plan.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Time limit of the study.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write a study file and a task template that run unchanged; asks for the options that are not given."""
    from largebatch.studies.question.new_study import KINDS, NewStudy, write_new

    asked = NewStudy(
        name=name or _answer("Name of the study", "mystudy", str),
        kind=kind or _answer(f"What is the task made of ({', '.join(KINDS)})", "plain", str),
        most_workers=workers or _answer("The most workers that the plan is to answer", 64, int),
        minutes=minutes or _answer("Minutes that the study may take", 20.0, float),
    )
    study_file, task_file = write_new(asked, out)
    if as_json:
        print(json.dumps({"study": str(study_file), "task": str(task_file)}, indent=1))
        return
    print(f"{task_file}: the task; put your model and data there\n{study_file}: the study")
    print(f"Next: largebatch check {study_file.name}, then largebatch run {study_file.name}")


@app.command(rich_help_panel=START, epilog="Example: largebatch check mymodule:task --json")
def check(
    task: Annotated[
        str,
        typer.Argument(
            help="module:function, a task that ships, or a study file, for its space and budget.",
            autocompletion=checkable,
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Test a task with three training steps, and estimate what a study of it costs before it is run."""
    sys.path.insert(0, str(Path.cwd()))  # a task of the user's own is imported from here
    from largebatch.studies.checks.check_study import check_study, question_of
    from largebatch.studies.views.terminal.show_check import print_cost, print_line

    question = question_of(task)
    if as_json:
        checked = check_study(question)
        print(json.dumps(checked.to_json(), indent=1))
    else:
        checked = check_study(question, print_line)
        print_cost(checked)
    if checked.num_failed:
        raise UserError(f"{checked.num_failed} of {len(checked.findings)} checks failed; each says its way out")


def _answer(question: str, usual: T, kind: type[T]) -> T:
    try:
        answer: T = typer.prompt(question, default=usual, type=kind)
    except typer.Abort:
        if sys.stdin.isatty():
            raise KeyboardInterrupt from None
        raise UserError("four answers are needed; give --name, --kind, --workers and --minutes") from None
    return answer
