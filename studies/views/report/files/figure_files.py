"""Figures as SVG, PNG and PDF files for a paper, drawn by plotly in a Chromium or Chrome of this machine, offline."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.studies.views.report.figures.axes import Figure, finite
from largebatch.studies.views.report.figures.every import Drawn
from largebatch.studies.views.report.style import HOUSE, LIGHT

FORMATS = ("svg", "png", "pdf")
WIDTH = 900
"""Of a figure, in pixels of 1/96 inch; a PNG has ``SCALE`` times as many."""
SCALE = 2

_VARIABLE = re.compile(r"--([\w-]+):\s*([^;]+);")


def write_figures(folder: Path, figures: Sequence[Drawn]) -> list[Path]:
    """Write every figure in every format, and return the files.

    Raises:
        UserError: if kaleido or a browser is missing, or the folder cannot be written.
    """
    write = _writer()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made: {error.strerror}; choose another --figures") from error
    files = [folder / f"{drawn.name}.{form}" for drawn in figures for form in FORMATS]
    write(_orders(folder, figures))
    return files


def _orders(folder: Path, figures: Sequence[Drawn]) -> Iterator[Mapping[str, Any]]:
    """What kaleido is to write."""
    for drawn in figures:
        figure = file_figure(drawn.figure)
        for form in FORMATS:
            size = {"width": WIDTH, "height": figure["layout"]["height"]}
            options = {**size, "format": form, "scale": SCALE if form == "png" else 1}
            yield {"fig": figure, "path": folder / f"{drawn.name}.{form}", "opts": options}


def _writer() -> Callable[[Iterator[Mapping[str, Any]]], None]:
    try:
        import kaleido
        from choreographer.browsers._errors import BrowserFailedError
        from choreographer.errors import ChromeNotFoundError
    except ImportError:
        raise UserError("--figures needs kaleido: pip install 'largebatch[figures]'") from None

    def write(orders: Iterator[Mapping[str, Any]]) -> None:
        try:
            # MathJax, which no figure needs, would be asked from a network.
            kaleido.write_fig_from_object_sync(orders, kopts={"n": 1, "mathjax": False})
        except ChromeNotFoundError:
            raise UserError(
                "--figures needs a Chromium or Chrome to draw with, and none was found: install one "
                "(apt install chromium, or plotly_get_chrome), or name it in the environment as BROWSER_PATH"
            ) from None
        except (BrowserFailedError, OSError) as error:
            raise UserError(f"the browser that draws the figures failed: {error}") from error

    return write


def file_figure(figure: Figure) -> Figure:
    """The figure as it is on paper: the colours of light, white behind it, no names that only a page can look up."""
    colours = {f"var(--{name})": value.strip() for name, value in _VARIABLE.findall(LIGHT)}
    layout = {**figure["layout"], "template": HOUSE, "paper_bgcolor": "white"}
    plain: Figure = finite(_coloured({"data": figure["data"], "layout": layout}, colours))
    return plain


def _coloured(node: Any, colours: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        return colours.get(node, node)
    if isinstance(node, Mapping):
        return {key: _coloured(child, colours) for key, child in node.items()}
    if isinstance(node, list | tuple):
        return [_coloured(child, colours) for child in node]
    return node
