"""``fit`` on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from largebatch.studies.answer.best_trials import format_number
from largebatch.studies.views.terminal.narrow import table_that_fits


def print_fit(answer: Mapping[str, Any]) -> None:
    """A paragraph and a table of predictions a group."""
    console = Console(highlight=False, markup=False)
    for note in answer["notes"]:
        console.print(f"Note: {note}", soft_wrap=True)
    for group in answer["groups"]:
        title = f"{group['group']}: " if group["group"] else ""
        console.print(f"{title}{group['law']} ({group['verdict']})", style="bold", soft_wrap=True)
        console.print(f"  {group['reason']}", soft_wrap=True)
        for name, value in group["parameters"].items():
            low, high = group["interval"][name]
            console.print(f"  {name} {format_number(value)} ({format_number(low)} to {format_number(high)})")
        for note in group.get("notes", []):
            console.print(f"  note: {note}", soft_wrap=True)
        if "learning_rate" in group:
            console.print(f"  learning rate: {group['learning_rate']['reason']}", soft_wrap=True)
        for found in group["withheld"].values():
            console.print(
                f"  the largest {found['of']}, {found['at']}, withheld: predicted {format_number(found['predicted'])} "
                f"({format_number(found['low'])} to {format_number(found['high'])}), measured "
                f"{format_number(found['measured'])}: {100 * found['error']:+.0f} %",
                soft_wrap=True,
            )
        if group["predictions"]:
            console.print(_prediction_table(group["predictions"], console.width))


def _prediction_table(predictions: Sequence[Mapping[str, Any]], width: int) -> Table:
    """A column for each unit."""
    units = list(dict.fromkeys(row["unit"] for row in predictions))
    headings = ("workers", "batch", *units, "90 % interval")
    rows = [
        (
            str(row.get("num_workers", "")), str(row.get("global_batch_size", "") or ""),
            *(format_number(row["value"]) if row["unit"] == unit else "" for unit in units),
            f"{format_number(row['low'])} to {format_number(row['high'])}",
        )
        for row in predictions
    ]  # fmt: skip
    return table_that_fits(headings, rows, width, ("90 % interval",))
