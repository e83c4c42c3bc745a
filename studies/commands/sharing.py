"""Commands for studies that are over: history."""

import json
from pathlib import Path
from typing import Annotated

import typer

from largebatch.studies.commands.options import JsonOption

app = typer.Typer()


@app.command(epilog="Example: largebatch history runs --where 'task=gw and num_workers>=64'")
def history(
    folder: Annotated[Path, typer.Argument(help="Studies are looked for in it and below, however deep.")],
    where: Annotated[
        str | None,
        typer.Option(help="Which: comparisons (= != < <= > >= ~) joined by and, or, not, as in the example."),
    ] = None,
    sort: Annotated[str, typer.Option(help="A column to sort by; with a minus the largest first.")] = "-created",
    as_json: JsonOption = False,
) -> None:
    """List past studies with their settings and answers; --json has all columns that --where knows."""
    from largebatch.studies.history.reading import read_history

    found = read_history(folder, where=where, sort=sort)
    if as_json:
        print(json.dumps({"studies": list(found.rows), "damaged": list(found.damaged)}, indent=1))
        return
    from largebatch.studies.terminal.show_history import print_history

    print_history(found)
