"""A trial in words, and the choice of trials to draw where there are too many."""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.answer.best_trials import format_number, format_seconds

Item = TypeVar("Item")
WIDTH = 72
"""Letters in a line of the text under the pointer."""

_NAMES = {"global_batch_size": "batch", "learning_rate": "learning rate"}
_FIRST = ("global_batch_size", "learning_rate", "num_workers")


class Mark(NamedTuple):
    """How an outcome is drawn and told: shape and colour both tell outcomes apart (Okabe and Ito's palette)."""

    symbol: str
    colour: str
    words: str


MARKS: dict[Outcome | None, Mark] = {
    Outcome.DIVERGED: Mark("x-thin-open", "var(--vermillion)", "diverged"),
    Outcome.EXHAUSTED: Mark("circle-open", "var(--blue)", "used up its examples"),
    Outcome.STOPPED: Mark("triangle-down-open", "var(--orange)", "stopped early"),
    Outcome.FAILED: Mark("square-open", "var(--purple)", "failed"),
    None: Mark("diamond-open", "var(--muted)", "waiting or running"),
}


def outcome(trial: Trial) -> Outcome | None:
    """How the trial ended, None while it waits or runs."""
    return trial.ending.outcome if trial.ending is not None else None


def outcome_words(trial: Trial) -> str:
    """The outcome as a reader would say it."""
    if trial.reached:
        return "reached the target"
    if trial.ending is None:
        return "running" if trial.running else "waiting"
    return MARKS[outcome(trial)].words


def varying_names(trials: Sequence[Trial]) -> list[str]:
    """The recipe's values that differ between trials, beside batch size and learning rate."""
    recipes = [trial.recipe for trial in trials]
    return [name for name in _others(recipes) if len({getattr(recipe, name, None) for recipe in recipes}) > 1]


def shared_words(trials: Sequence[Trial]) -> str:
    """The recipe's values that all trials share, where they are not the default."""
    recipes = [trial.recipe for trial in trials]
    names = [name for name in _others(recipes) if len({getattr(recipe, name, None) for recipe in recipes}) == 1]
    shared = [name for name in names if getattr(recipes[0], name) != default_value(name)]
    return recipe_words(recipes[0], shared) if shared else ""


def default_value(name: str) -> Any:
    """What a recipe holds where a study does not say; None for an option of the task."""
    return Recipe.model_fields[name].default if name in Recipe.model_fields else None


def _others(recipes: Sequence[Recipe]) -> list[str]:
    """All values of recipes beside the first, the options of tasks that some have included."""
    return list(dict.fromkeys(name for recipe in recipes for name in recipe.model_dump() if name not in _FIRST))


def recipe_words(recipe: Recipe, names: Sequence[str]) -> str:
    """``batch 256, learning rate 0.8``: the values called ``names``, in words."""
    words = []
    for name in names:
        value = getattr(recipe, name, None)
        shown = format_number(value) if isinstance(value, float) else str(value)
        words.append(f"{_NAMES.get(name, name.replace('_', ' '))} {shown}")
    return ", ".join(words)


def trial_words(trial: Trial, names: Sequence[str]) -> str:
    """The recipe, the ending and the reason of a trial in a few lines, for the text under the pointer."""
    lines = [f"trial {trial.number}: {recipe_words(trial.recipe, ['global_batch_size', 'learning_rate'])}"]
    lines += [recipe_words(trial.recipe, names[start : start + 3]) for start in range(0, len(names), 3)]
    ending = trial.ending
    if ending is None:
        lines.append(f"{outcome_words(trial)}; {trial.examples:,} examples so far")
    elif trial.passage is not None and trial.passage.is_bound:
        lines.append(f"reached before the first evaluation, after {format_number(trial.passage.high)} steps at most")
    elif trial.steps_to_target is not None:
        steps, examples = trial.steps_to_target, trial.examples_to_target
        seconds = format_seconds(steps * trial.step_seconds)
        lines.append(f"reached after {format_number(steps)} steps, {format_number(examples)} examples, {seconds}")
    else:
        lines.append(f"{outcome_words(trial)} at step {ending.step:,}, {ending.examples:,} examples")
    lines += textwrap.wrap(trial.why, WIDTH, max_lines=3, placeholder=" …")
    return "\n".join(lines)


def spread(items: Sequence[Item], limit: int) -> list[Item]:
    """At most ``limit`` items, evenly spread, first and last among them."""
    if len(items) <= limit or limit < 2:
        return list(items[:limit])
    return [items[round(index * (len(items) - 1) / (limit - 1))] for index in range(limit)]


def drawn(trials: Sequence[Trial], limit: int, keep: Callable[[Trial], bool] = lambda trial: False) -> list[Trial]:
    """At most ``limit`` trials in their order: those that ``keep`` names, then an even choice of the others."""
    if len(trials) <= limit:
        return list(trials)
    kept = spread([trial for trial in trials if keep(trial)], limit)
    numbers = {trial.number for trial in kept}
    others = spread([trial for trial in trials if trial.number not in numbers], limit - len(kept))
    return sorted([*kept, *others], key=lambda trial: trial.number)


def branches_words(trials: Sequence[Trial]) -> str:
    """How many trials branch from others, and the schedule of the one that took the fewest examples to the target."""
    branches = [trial for trial in trials if trial.origin is not None]
    if not branches:
        return ""
    words = f"{len(branches)} of the trials branch from others under another recipe; tables and laws leave them out."
    best = min(
        (trial for trial in branches if trial.reached), key=lambda one: one.examples_to_target or 0, default=None
    )
    if best is None:
        return f"{words} None of them reached the target."
    steps, examples = format_number(best.steps_to_target), format_number(best.examples_to_target)
    line, one = [best], best
    while one.origin is not None:
        one = trials[one.origin.parent]
        line.insert(0, one)
    stages = [
        f"{recipe_words(one.recipe, ['global_batch_size', 'learning_rate'])} from {one.first_examples:,} examples on"
        for one in line
    ]
    return (
        f"{words} The best of them, trial {best.number}, took {steps} steps, {examples} examples: {'; '.join(stages)}."
    )
