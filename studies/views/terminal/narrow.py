"""What a terminal can show: whether lines can be drawn over, and tables with the columns that it has room for."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table


def is_live(console: Console) -> bool:
    """Whether what was printed can be drawn over: not in a file, nor on a terminal that moves no cursor."""
    return console.is_terminal and not console.is_dumb_terminal


def table_that_fits(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, least_first: Sequence[str],
    *, bold_row: int | None = None,
) -> Table:  # fmt: skip
    """A table of numbers, of all columns that ``width`` has room for; the first of ``least_first`` go first."""
    shown = fitting_columns(headings, rows, width, [headings.index(name) for name in least_first if name in headings])
    table = Table(header_style="dim", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for index in shown:
        table.add_column(headings[index], justify="right", no_wrap=True)
    for number, row in enumerate(rows):
        table.add_row(*(row[index] for index in shown), style="bold" if number == bold_row else None)
    return table


def fitting_columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, least_first: Sequence[int]
) -> list[int]:
    """The columns to show in ``width`` characters: all, or without the first ones of ``least_first``."""
    widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
    kept = list(range(len(headings)))
    for index in least_first:
        if sum(widths[at] + 1 for at in kept) <= width:
            break
        kept.remove(index)
    return kept
