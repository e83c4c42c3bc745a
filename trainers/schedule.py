"""The learning rate as a function of the optimizer step: linear warm-up, then constant or cosine."""

import math

from largebatch.spaces.recipe import Recipe


def learning_rate(recipe: Recipe, step: int, max_examples: int) -> float:
    """The rate of optimizer step ``step`` (from 0). ``max_examples`` is the horizon where the recipe names none.

    The warm-up's first step has 1 / warmup_steps of the full rate, its last the full rate (Goyal et al. 2017, arXiv
    1706.02677, section 2.2). The cosine (Loshchilov, Hutter 2017, arXiv 1608.03983) falls from the end of the warm-up
    to zero at the horizon, and stays there.
    """
    horizon_steps = max(1, (recipe.horizon_examples or max_examples) // recipe.global_batch_size)
    warmup_steps = recipe.warmup_steps
    if warmup_steps is None:
        warmup_steps = round((recipe.warmup_fraction or 0.0) * horizon_steps)
    if step < warmup_steps:
        return recipe.learning_rate * (step + 1) / warmup_steps
    if recipe.schedule == "constant":
        return recipe.learning_rate
    done = (step - warmup_steps) / max(1, horizon_steps - warmup_steps)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
