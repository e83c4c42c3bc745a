"""``dashboard``: studies in a browser, live."""

from pathlib import Path
from typing import Annotated

import typer

from largebatch.spaces.errors import UserError

app = typer.Typer()


@app.command(epilog="Example: largebatch dashboard runs/quickstart --control")
def dashboard(
    directory: Annotated[Path, typer.Argument(help="A study directory, or a folder of them.")],
    host: Annotated[str, typer.Option(help="The address to listen on; the default is this machine's alone.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8050,
    control: Annotated[
        bool, typer.Option("--control", help="Let browsers that have the printed token stop, enqueue and narrow.")
    ] = False,
) -> None:
    """Show one study or many in a browser, live while they run; read-only unless --control."""
    try:
        import dash  # noqa: F401
    except ImportError as error:
        raise UserError("the dashboard needs dash; install it with: pip install 'largebatch[dashboard]'") from error
    from largebatch.studies.views.dashboard.serve import serve

    serve(directory, host=host, port=port, control=control)
