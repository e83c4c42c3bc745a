"""Which rows of a user's own numbers each law may use, and what a reader should know of those that it may not."""

from collections.abc import Callable, Sequence

import numpy as np

from largebatch.search.laws.batch_size.points import MIN_POINTS
from largebatch.search.laws.from_table import rates_vary
from largebatch.spaces.errors import UserError
from largebatch.studies.answer.measurement_table import PASSAGE_COLUMNS, OwnRow

SAME_BUDGET = 0.01
"""Trainings whose lengths differ by less than this share, and less than a step, were ended by a budget."""

Rows = tuple[OwnRow, ...]
Note = Callable[[str], None]


def with_all(rows: Rows, name: str, of: str, note: Note) -> Rows:
    """The rows that give ``name``, where most do: one empty cell does not decide for a column. All, where none does."""
    given = tuple(row for row in rows if name in row.values)
    if not given or len(given) == len(rows):
        return rows
    if 2 * len(given) <= len(rows):
        raise UserError(
            f"{name} is given in {len(given)} of {len(rows)} rows; fill in the others, or leave the column out"
        )
    missing = [row for row in rows if name not in row.values]
    note(f"{lines_of(missing)}: no {name}, which the other rows have; left out of {of}")
    return given


def of_one_recipe(rows: Rows, note: Note) -> Rows:
    """At each batch size the rows of one recipe, that of the fewest steps; all, where the best rate can be fitted.

    Rows of several recipes are no repeats: their mean belongs to none, and their differences are no scatter.
    """
    sizes = np.array([row.values["global_batch_size"] for row in rows])
    at_size = [[row for row in rows if row.values["global_batch_size"] == size] for size in np.unique(sizes)]
    fits_rates = "learning_rate" in rows[0].values and rates_vary(
        np.array([row.values["learning_rate"] for row in rows]), sizes
    )
    varied = sorted(
        {name for same in at_size for name in _varied(same) if not (fits_rates and name == "learning_rate")}
    )
    if not varied:
        return rows
    where = f"rows of one batch size differ in {', '.join(varied)}"
    if fits_rates:
        note(f"{where}: the best learning rate is sought over all of them, and what else differs counts as scatter")
        return rows
    kept = {id(row) for same in at_size for row in _best(same)}
    left_out = len(rows) - len(kept)
    note(f"{where}, so they are no repeats: those of the fewest steps are used, {left_out} of {len(rows)} are left out")
    return tuple(row for row in rows if id(row) in kept)


def fixed_budget(rows: Rows, unit: str) -> str | None:
    """Why there is no law of trainings of one length whatever their batch size: a budget ended them, not a target."""
    # Those that say between which evaluations they met it did meet it, be it all of them at the first.
    reached = [row for row in rows if not row.censored and not any(name in row.values for name in PASSAGE_COLUMNS)]
    batch = np.array([row.values["global_batch_size"] for row in reached])
    if len(np.unique(batch)) < MIN_POINTS:
        return None
    amount = np.array([row.values[unit] for row in reached])
    examples = amount * batch if unit == "steps" else amount
    a_step = float(batch.max()) if unit == "steps" else 0.0  # a budget of examples ends after a whole step
    if np.ptp(amount) > 0 and np.ptp(examples) > min(a_step, SAME_BUDGET * float(examples.min())):
        return None
    same = unit if np.ptp(amount) == 0 else "examples"
    return (
        f"all {len(reached)} rows took the same {same} at {len(np.unique(batch))} batch sizes: that is a fixed budget, "
        f"not what a target took; give for each training the {unit} at which it first met the target, and mark those "
        "that did not with censored = 1; if all met it at the same evaluation, give a column evaluation_interval: how "
        "far evaluations lay apart"
    )


def timed(rows: Rows, note: Note) -> Rows:
    """The rows whose time a step-time law can use."""
    with_time = [row for row in rows if "step_seconds" in row.values or ("seconds" in row.values and not row.censored)]
    without = [row for row in with_time if "num_workers" not in row.values]
    if without:
        note(f"{lines_of(without)}: a time without num_workers, which no law uses")
    return tuple(row for row in with_time if "num_workers" in row.values)


def _varied(rows: Sequence[OwnRow]) -> list[str]:
    """In which values of a recipe they differ."""
    rates = {"learning_rate"} if len({row.values.get("learning_rate") for row in rows}) > 1 else set()
    names = {name for row in rows for name in row.recipe}
    return [*rates, *(name for name in names if len({row.recipe.get(name) for row in rows}) > 1)]


def _best(rows: Sequence[OwnRow]) -> list[OwnRow]:
    """Those of the recipe with the least mean logarithm of what the target took; all, where none met it."""
    recipes: dict[tuple[object, ...], list[OwnRow]] = {}
    for row in rows:
        recipes.setdefault((row.values.get("learning_rate"), *sorted(row.recipe.items())), []).append(row)
    means = [
        (float(np.mean(np.log([row.amount for row in same if not row.censored]))), same)
        for same in recipes.values()
        if not all(row.censored for row in same)
    ]
    return min(means, key=lambda pair: pair[0])[1] if means else list(rows)


def lines_of(rows: Sequence[OwnRow]) -> str:
    """Where rows stand in their file, for a message."""
    numbers = [str(row.line) for row in rows[:5]]
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"line {numbers[0]}" if len(rows) == 1 else f"lines {', '.join(numbers)}{more}"
