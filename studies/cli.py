"""The ``largebatch`` command. Each command imports what it needs when it runs, so that ``--help`` is quick."""

import io
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from largebatch import __version__
from largebatch.spaces.errors import UserError
from largebatch.spaces.os_fault import os_fault
from largebatch.studies.commands import answer as answers
from largebatch.studies.commands import benchmark, cluster, dashboard, doctor, prepare
from largebatch.studies.commands import create as own
from largebatch.studies.commands import run as trainings
from largebatch.studies.commands import share as sharing
from largebatch.studies.commands import steer as steering

app = typer.Typer(
    help="Search batch size, learning rate and optimizer on the devices you have; predict the rest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(own.app)  # in the order of `--help`
app.add_typer(prepare.app)
app.add_typer(doctor.app)
app.add_typer(trainings.app)
app.add_typer(benchmark.app)
app.add_typer(steering.app)
app.add_typer(answers.app)
app.add_typer(dashboard.app)
app.add_typer(sharing.app)
app.add_typer(cluster.app)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"largebatch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    del version  # printed above


def main() -> NoReturn:
    """Run the command line and end the process."""
    if sys.stdout is None:  # closed by whoever started this, as by `>&-`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an output without a sign still shows the rest
    code = command()
    if "ray" in sys.modules:  # all is written and Ray is shut down; its threads may crash an interpreter that is ending
        os._exit(code)
    sys.exit(code)


def command() -> int:
    """Run the command line; return 0, 2 for a user's mistake, 130 on Ctrl-C, 1 for anything else.

    What the operating system refuses is the user's to fix. A reader that has gone (``| head``) gets no message.
    """
    code = _command()
    if (refused := _flush()) is None or code:
        return code
    if isinstance(refused, BrokenPipeError):
        return 1
    _tell(os_fault(refused, _OUTPUT))
    return 2


_OUTPUT = Path("standard output")


def _command() -> int:
    try:
        app()
    except UserError as mistake:
        _tell(mistake)
        return 2
    except KeyboardInterrupt:
        return 130
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:
        return 1
    except OSError as error:
        _tell(os_fault(error, _OUTPUT if _flush() is not None else None))
        return 2
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def _flush() -> OSError | None:
    """Write what is left of the output; why it cannot be, where that is so: the interpreter would try once more."""
    try:
        sys.stdout.flush()
    except OSError as error:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return error
    return None


def _tell(mistake: UserError) -> None:
    with suppress(OSError):  # then nobody reads it
        print(f"largebatch: {mistake}", file=sys.stderr, flush=True)
