"""A trial that nobody trained."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Origin, Outcome, Trial

NO_CURVE: Mapping[int, float] = MappingProxyType({})


def make_trial(
    number: int = 0,
    *,
    recipe: Recipe | None = None,
    curve: Mapping[int, float] = NO_CURVE,
    outcome: Outcome | None = None,
    steps_to_target: float | None = None,
    examples_to_target: float | None = None,
    step: int | None = None,
    examples: int | None = None,
    seconds: float = 1.0,
    reason: str = "",
    why: str = "",
    repeat_of: int | None = None,
    origin: Origin | None = None,
    paused_at: int | None = None,
    **values: Any,
) -> Trial:
    """A trial of one device: it runs unless it has an ``outcome`` or is ``paused_at`` some examples.

    Args:
        number: Of the trial.
        recipe: What was trained; else a recipe of ``values``, at batch size 32 and rate 0.1 unless they say otherwise.
        curve: The target's metric at examples.
        outcome: How it ended; with ``steps_to_target``, ``reached`` if not given.
        steps_to_target: Where the target was met.
        examples_to_target: The same in examples, if it is recorded.
        step: Where it ended; if not given, at the step that met the target, else where ``examples`` are.
        examples: Where it ended; if not given, where ``curve`` ends, else after ``step``.
        seconds: Of its training.
        reason: Why it ended.
        why: Why it was proposed.
        repeat_of: The trial that it repeats.
        origin: Whose state it began from.
        paused_at: Examples after which it waits.
        values: Of its recipe.
    """
    if recipe is not None and values:
        raise TypeError(f"make_trial takes a recipe or values of one, not both; got {', '.join(values)} beside recipe=")
    if recipe is None:
        recipe = Recipe.model_validate({"global_batch_size": 32, "learning_rate": 0.1, **values})
    if outcome is None and steps_to_target is not None:
        outcome = Outcome.REACHED
    ending = None
    if outcome is not None:
        size = recipe.global_batch_size
        if step is None and steps_to_target is not None:
            step = math.ceil(steps_to_target)
        if examples is None:
            examples = max(curve) if curve else (step or 0) * size
        ending = Ending(
            outcome=outcome,
            step=examples // size if step is None else step,
            examples=examples,
            seconds=seconds,
            steps_to_target=steps_to_target,
            examples_to_target=examples_to_target,
            reason=reason,
        )
    return Trial(
        number=number,
        recipe=recipe,
        num_devices=1,
        running=ending is None and paused_at is None,
        intermediate=curve,
        ending=ending,
        why=why,
        repeat_of=repeat_of,
        origin=origin,
        paused_at=paused_at,
    )
