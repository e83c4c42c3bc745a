"""``doctor``: what this machine can do, and what to mend."""

import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from largebatch.studies.commands.options import JsonOption

app = typer.Typer()


@app.command(epilog="Example: largebatch doctor --directory runs --json")
def doctor(
    directory: Annotated[
        Path, typer.Option(help="Where studies are to lie: locks and space are tried there.")
    ] = Path(),
    address: Annotated[
        str | None, typer.Option(help="A running Ray cluster: its nodes' clocks, software and folders as well.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check this machine, and a cluster, for what studies need; each finding has the line that mends it.

    Exit code 0 where there is no problem (warnings are none), 1 where there is one.
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
