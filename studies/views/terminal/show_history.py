"""``history`` in the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from largebatch.studies.answer.best_trials import format_number, format_seconds
from largebatch.studies.answer.past_studies.reading import History
from largebatch.studies.views.terminal.narrow import fitting_columns

_HEADINGS = (
    "study", "when", "task", "state", "trials", "workers", "knee", "batch", "rate", "steps", "1 worker", "at the knee",
    "directory",
)  # fmt: skip
_LEAST_FIRST = (
    "at the knee", "workers", "steps", "trials", "rate", "task", "1 worker", "batch", "knee", "state", "when", "study",
)  # fmt: skip
"""Columns that a narrow terminal goes without: the directory is left."""


def print_history(history: History) -> None:
    """A line a study, then what is damaged."""
    console = Console(highlight=False, markup=False)
    rows = [_cells(row) for row in history.rows]
    least_first = [_HEADINGS.index(name) for name in _LEAST_FIRST]
    shown = fitting_columns(_HEADINGS, rows, console.width, least_first)
    table = Table(header_style="dim", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for index in shown:
        text = _HEADINGS[index] in ("study", "when", "task", "state", "directory")
        table.add_column(_HEADINGS[index], justify="left" if text else "right", no_wrap=True)
    for cells in rows:
        table.add_row(*(cells[index] for index in shown))
    if rows:
        console.print(table, soft_wrap=True)
    console.print(
        f"{len(rows)} of {history.num_studies} studies"
        if len(rows) != history.num_studies
        else f"{len(rows)} studies"
        if len(rows) != 1
        else "one study"
    )
    for one in history.damaged:
        problem = one["problem"]
        named = problem if one["directory"] in problem else f"{one['directory']}: {problem}"
        console.print(f"damaged: {named}", soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    return [
        row["name"],
        row["created"][:16],
        row["task"],
        row["state"],
        f"{row['num_reached']}/{row['num_trials']}",
        str(row["num_workers"]),
        format_number(row["knee"]),
        "–" if row["global_batch_size"] is None else str(row["global_batch_size"]),
        format_number(row["learning_rate"]),
        format_number(row["steps"]),
        _time(row["seconds_one_worker"]),
        _time(row["seconds"]),
        row["directory"],
    ]


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else format_seconds(seconds)
