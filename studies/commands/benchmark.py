"""The command that measures scaling: benchmark."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.options import (
    AddressOption,
    InterconnectOption,
    JsonOption,
    WorkersPerNodeOption,
    counts,
    go_to_cluster,
)

app = typer.Typer()


@app.command(epilog="Example: largebatch benchmark digits --workers 1,2,4,8,64 -o scaling.html")
def benchmark(
    task: Annotated[str, typer.Argument(help="A task that ships (see `list`), or package.module:function.")],
    workers: Annotated[
        str, typer.Option(help="Measured where there are so many devices, else predicted; 1 is always among them.")
    ] = "1,2,4,8,16,32,64",
    local_batch_size: Annotated[
        int | None, typer.Option(min=1, help="Examples a worker and step; 32, or fewer where a pass of the task is.")
    ] = None,
    study: Annotated[
        Path | None, typer.Option(help="A study of the task: its recipe is timed, its plan tells time to target.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    memory_format: Annotated[str | None, typer.Option(help="contiguous or channels_last.")] = None,
    interconnect: InterconnectOption = None,
    workers_per_node: WorkersPerNodeOption = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Also write one self-contained HTML page.")] = None,
    address: AddressOption = None,
    in_process: Annotated[bool, typer.Option("--in-process", help="Without Ray, one worker.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how training scales here, predict it beyond, and draw it beside what the source paper reports."""
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
