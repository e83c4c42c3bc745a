"""``dashboard``: studies in a browser, live."""

from pathlib import Path
from typing import Annotated

import typer

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.completion import study_directories
from largebatch.studies.commands.options import ANSWER

app = typer.Typer()


@app.command(rich_help_panel=ANSWER, epilog="Example: largebatch dashboard runs/quickstart --control")
def dashboard(
    directory: Annotated[
        Path, typer.Argument(help="Study directory, or a folder of them.", autocompletion=study_directories)
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; this machine's alone by default.")] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8050,
    control: Annotated[
        bool,
        typer.Option("--control", help="Allow stop, enqueue and narrow from browsers that have the printed token."),
    ] = False,
) -> None:
    """Show one study or many in a browser, live while they run; read-only unless --control."""
    try:
        import dash  # noqa: F401
    except ImportError as error:
        raise UserError("the dashboard needs dash; install it with: pip install 'largebatch[dashboard]'") from error
    from largebatch.studies.views.dashboard.serve import serve

    serve(directory, host=host, port=port, control=control)
