"""``doctor``: what this machine can do, and what to fix."""

import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from largebatch.studies.commands.options import START, JsonOption

app = typer.Typer()


@app.command(rich_help_panel=START, epilog="Example: largebatch doctor --directory runs --json")
def doctor(
    directory: Annotated[
        Path, typer.Option(help="Folder that studies will be in: its locks and free space are tested.")
    ] = Path(),
    address: Annotated[
        str | None,
        typer.Option(
            help="Address of a running Ray cluster, whose nodes' clocks, software and folders are checked too."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine, and a cluster, for what studies need; each finding says how to fix it.

    The exit code is 0 without a problem (warnings do not count), 1 with one.
    """
    from largebatch.studies.checks.machine.examination import examine
    from largebatch.studies.views.terminal.show_doctor import print_findings

    findings = examine(directory, address)
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        print(
            json.dumps(
                {"host": socket.gethostname(), "problems": problems, "findings": list(map(asdict, findings))}, indent=1
            )
        )
    else:
        print_findings(socket.gethostname(), findings)
    if problems:
        raise typer.Exit(1)
