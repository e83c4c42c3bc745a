"""Commands that read a record, or a user's own numbers, and answer: show, plan, fit, report, list."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.options import (
    ANSWER,
    START,
    DirectoryArgument,
    InterconnectOption,
    JsonOption,
    WorkersPerNodeOption,
    counts,
    listed,
)

if TYPE_CHECKING:
    from largebatch.search.laws.step_time.interconnects import Network
    from largebatch.studies.answer.answer import Answer

app = typer.Typer()


@app.command(rich_help_panel=ANSWER, epilog="Example: largebatch show runs/quickstart --json")
def show(
    directory: DirectoryArgument,
    trial: Annotated[
        int | None, typer.Option(help="Number of a trial: show it alone, and why it was proposed.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show trials, the best recipe of each batch size, the laws, and which trials are running."""
    from largebatch.studies.record.lease.lease_monitor import LeaseWatch
    from largebatch.studies.views.terminal.show import print_study, print_trial, study_json

    answer = _read(directory)
    owner = LeaseWatch(directory).look()
    if trial is not None:
        print_trial(answer, trial, as_json=as_json)
    elif as_json:
        print(json.dumps({**study_json(answer), "jobs": owner.jobs if owner is not None else 0}, indent=1))
    else:
        print_study(answer)
        if owner is not None:
            print(f"In use by {owner}; {owner.jobs} job{'s serve' if owner.jobs > 1 else ' serves'} it.")


@app.command(rich_help_panel=ANSWER, epilog="Example: largebatch plan runs/quickstart --workers 1,8,64 --json")
def plan(
    directory: DirectoryArgument,
    workers: Annotated[
        str | None, typer.Option(help="Worker counts, as in 1,2,4 or 1-4096; those of the study if not given.")
    ] = None,
    within_hours: Annotated[
        float | None, typer.Option(min=0, help="Deadline: the plan names the fewest workers that meet it.")
    ] = None,
    device_hour_cost: Annotated[float | None, typer.Option(min=0, help="Price of one device for one hour.")] = None,
    interconnect: InterconnectOption = None,
    workers_per_node: WorkersPerNodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the best recipe, time and cost to the target of each worker count, with 90 % intervals."""
    from largebatch.search.laws.step_time.interconnects import Network

    answer = _read(
        directory,
        workers=counts("--workers", workers),
        device_hour_cost=device_hour_cost,
        seconds_allowed=None if within_hours is None else 3600 * within_hours,
        network=Network(workers_per_node=workers_per_node, interconnect=interconnect),
    )
    if answer.plan is None:
        raise UserError(answer.problem or "there is no plan")
    if as_json:
        print(json.dumps(answer.plan.to_json(), indent=1))
        return
    from largebatch.studies.views.terminal.show import print_plan

    print_plan(answer.plan)


@app.command(rich_help_panel=ANSWER, epilog="Example: largebatch fit mine.csv --predict 16384,65536")
def fit(
    file: Annotated[
        Path, typer.Argument(help="CSV file with the columns global_batch_size and one of steps, epochs, examples.")
    ],
    predict: Annotated[str | None, typer.Option(help="Batch sizes to predict, as in 16384,65536.")] = None,
    predict_workers: Annotated[str | None, typer.Option(help="Worker counts to predict, as in 128,1024.")] = None,
    predict_batch: Annotated[
        str | None, typer.Option(help="Batch size of each of --predict-workers, where those of the file differ.")
    ] = None,
    interconnect: InterconnectOption = None,
    workers_per_node: WorkersPerNodeOption = None,
    gradient_bytes: Annotated[
        float | None, typer.Option(min=1, help="Bytes of the gradient that workers sum in a step; 50e6 if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit the laws to your own measurements, one row for each training; nothing is trained.

    Repeats are repeated rows. Further columns: group, censored (1 where the target was not reached), learning_rate,
    num_workers with seconds (to the target), step_seconds or examples_per_second (of all workers), and
    evaluation_interval (examples) or steps_low and steps_high, between which the target was met.
    """
    from largebatch.search.laws.step_time.interconnects import Network
    from largebatch.studies.answer.fit_table import Asked, fit_table
    from largebatch.studies.answer.measurement_table import read_table
    from largebatch.studies.views.terminal.show_fit import print_fit

    asked = Asked(
        batch_sizes=counts("--predict", predict) or [],
        workers=listed("--predict-workers", predict_workers) or [],
        batches=listed("--predict-batch", predict_batch),
    )
    network = Network(workers_per_node=workers_per_node, interconnect=interconnect)
    found = fit_table(read_table(file), asked, network=network, gradient_bytes=gradient_bytes)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        print_fit(found)


@app.command(
    rich_help_panel=ANSWER, epilog="Example: largebatch report runs/quickstart -o report.html --figures figures"
)
def report(
    directory: DirectoryArgument,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="HTML page to write; DIRECTORY/report.html if not given.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder to write every figure to, as SVG, PNG and PDF.", metavar="DIR")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Markdown file to write a summary to.", metavar="FILE.md")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one self-contained HTML page, and optionally the figures and a summary as files."""
    from largebatch.studies.record.directory import StudyDirectory
    from largebatch.studies.views.report.answer_report import answer_figures, answer_markdown, write_answer_report
    from largebatch.studies.views.report.files.figure_files import write_figures
    from largebatch.studies.views.report.shell import write_page

    existing, answer = StudyDirectory.existing(directory), _read(directory)
    page = out or existing.report_file
    drawn = [] if figures is None else write_figures(figures, answer_figures(existing, answer))
    with _writable(page, "-o"):
        write_answer_report(existing, answer, page)
    if markdown is not None:
        with _writable(markdown, "--markdown"):
            write_page(markdown, answer_markdown(existing, answer))
    if as_json:
        summary = None if markdown is None else str(markdown)
        print(json.dumps({"page": str(page), "figures": [str(file) for file in drawn], "markdown": summary}, indent=1))
        return
    for file in (page, *drawn, *([] if markdown is None else [markdown])):
        print(file)


@contextmanager
def _writable(path: Path, option: str) -> Iterator[None]:
    """A file that cannot be written is the user's to fix."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}; choose another {option}") from error


@app.command(name="list", rich_help_panel=START, epilog="Example: largebatch list")
def list_names(as_json: JsonOption = False) -> None:
    """List the tasks, searchers, schedulers, rules, interconnects and studies that ship."""
    from largebatch.studies.views.terminal.show import names_that_ship

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
    from largebatch.studies.answer.answer import read_answer
    from largebatch.studies.record.directory import StudyDirectory

    return read_answer(
        StudyDirectory.existing(directory),
        workers=workers,
        device_hour_cost=device_hour_cost,
        seconds_allowed=seconds_allowed,
        network=network,
    )
