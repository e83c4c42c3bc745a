"""What a terminal can show: whether lines can be drawn over, and which columns of a table it has room for."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console


def is_live(console: Console) -> bool:
    """Whether what was printed can be drawn over: not in a file, nor on a terminal that moves no cursor."""
    return console.is_terminal and not console.is_dumb_terminal


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
