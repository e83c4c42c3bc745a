"""The ``largebatch`` command. Each command imports what it needs when it runs, so that ``--help`` is quick."""

import errno
import io
import os
import sys
import traceback
from typing import NoReturn

import typer

from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.commands import (
    answers,
    benchmark,
    cluster,
    dashboard,
    doctor,
    own,
    prepare,
    sharing,
    steering,
    trainings,
)

app = typer.Typer(
    help="Search batch size, learning rate and optimizer on the devices you have; predict the rest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.add_typer(own.app)
app.add_typer(trainings.app)
app.add_typer(benchmark.app)
app.add_typer(answers.app)
app.add_typer(steering.app)
app.add_typer(dashboard.app)
app.add_typer(sharing.app)
app.add_typer(prepare.app)
app.add_typer(cluster.app)
app.add_typer(doctor.app)

_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def main() -> NoReturn:
    """Run the command line and end the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an output without a sign still shows the rest
    code = command()
    sys.stdout.flush()
    sys.stderr.flush()
    if "ray" in sys.modules:  # all is written and Ray is shut down; its threads may crash an interpreter that is ending
        os._exit(code)
    sys.exit(code)


def command() -> int:
    """Run the command line; return 0, 2 for a user's mistake, 130 on Ctrl-C, 1 for anything else."""
    try:
        app()
    except UserMistake as mistake:
        print(f"largebatch: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_FAULTS:
            where = f"{error.filename}: " if error.filename else ""
            print(
                f"largebatch: {where}{error.strerror}; what was recorded is whole: make room, or let it be written, "
                f"and the same command goes on",
                file=sys.stderr,
            )
            return 2
        traceback.print_exc()
        return 1
    return 0
