"""The command that measures scaling: benchmark."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.completion import study_directories
from largebatch.studies.commands.options import (
    RUN,
    AddressOption,
    InterconnectOption,
    JsonOption,
    TaskArgument,
    WorkersPerNodeOption,
    counts,
    go_to_cluster,
)

app = typer.Typer()


@app.command(rich_help_panel=RUN, epilog="Example: largebatch benchmark digits --workers 1,2,4,8,64 -o scaling.html")
def benchmark(
    task: TaskArgument,
    workers: Annotated[
        str, typer.Option(help="Worker counts: measured where there are as many devices, else predicted; 1 is added.")
    ] = "1,2,4,8,16,32,64",
    local_batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Batch size of a worker, in examples; 32, or what fits in one pass if that is less."),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(
            help="Study directory of the task: its recipe is timed, its plan adds the time to target.",
            autocompletion=study_directories,
        ),
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Precision of the computation: float32 or bfloat16.")] = None,
    memory_format: Annotated[
        str | None, typer.Option(help="Memory format of images: contiguous or channels_last.")
    ] = None,
    interconnect: InterconnectOption = None,
    workers_per_node: WorkersPerNodeOption = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Self-contained HTML page to write.")] = None,
    address: AddressOption = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="Run without Ray, one worker.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how training scales on these devices, predict larger counts, and compare with the source paper."""
    go_to_cluster(address)
    sys.path.insert(0, str(Path.cwd()))  # a task of the user's own is imported from here
    from largebatch.search.laws.step_time.interconnects import Network
    from largebatch.studies.training.measure_scaling import ask_scaling, measure_scaling
    from largebatch.studies.views.report.scaling_page import write_scaling_page
    from largebatch.studies.views.terminal.show_scaling import print_scaling

    given = {"precision": precision, "memory_format": memory_format}
    question = ask_scaling(
        task,
        counts("--workers", workers) or [],
        local_batch_size,
        study=study,
        network=Network(workers_per_node=workers_per_node, interconnect=interconnect),
        execution={name: value for name, value in given.items() if value is not None},
    )
    found = measure_scaling(question, address=address, in_process=in_process)
    if as_json:
        print(json.dumps(found.to_json(), indent=1))
    else:
        print_scaling(found)
    if out is not None:  # last: what was measured is not lost with a page that cannot be written
        try:
            write_scaling_page(out, found)
        except OSError as error:
            raise UserError(f"{out} cannot be written: {error.strerror}; choose another -o") from error
        if not as_json:
            print(f"The page: {out}")
