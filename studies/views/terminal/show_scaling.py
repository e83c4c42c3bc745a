"""``benchmark`` in the terminal."""

from rich.console import Console

from largebatch.studies.answer.scaling.published import paper_curves
from largebatch.studies.answer.scaling.scaling import Scaling
from largebatch.studies.answer.scaling.words import percent, scaling_notes, scaling_sentence, scaling_table, times
from largebatch.studies.views.terminal.narrow import table_that_fits


def print_scaling(scaling: Scaling) -> None:
    """The answer, the rows, what the source paper reports, and the notes."""
    console = Console(highlight=False, markup=False)
    console.print(scaling_sentence(scaling), soft_wrap=True)
    found = scaling_table(scaling)
    named = [index for index, name in enumerate(found.columns) if name in _HEADINGS]
    headings = [_HEADINGS[found.columns[index]] for index in named]
    rows = [[cells[index] for index in named] for cells in found.rows]
    console.print(table_that_fits(headings, rows, console.width, _LEAST_FIRST))
    console.print(
        "Intervals of measured rows are the quartiles of their repeats, those of predicted ones hold 90 %.",
        soft_wrap=True,
    )
    for curve in paper_curves(scaling.task):
        console.print(
            f"The paper's {curve.model} on {curve.system} ({curve.machine}): {curve.num_gpus:,} GPUs, "
            f"{curve.told_hours}, {'at most ' if curve.at_most else ''}{times(curve.speedup)} one "
            f"GPU's speed, efficiency {percent(curve.efficiency)}",
            soft_wrap=True,
        )
    for note in scaling_notes(scaling):
        console.print(f"- {note}", soft_wrap=True)


_HEADINGS = {
    "workers": "workers",
    "step time": "step",
    "examples/s": "examples/s",
    "epoch": "epoch",
    "speed-up": "speed-up",
    "speed-up's interval": "interval",
    "efficiency": "eff.",
    "time to target": "time",
    "basis": "basis",
}
"""The columns that 80 characters have room for, and their short names; the page and ``--json`` have all."""
_LEAST_FIRST = ("epoch", "step", "interval", "eff.", "time", "examples/s", "basis")
"""Columns that a narrow terminal goes without: workers and speed-up are left."""
