"""The learning rate's factor as a function of the step: a warm-up, then one of several shapes.

A *position* counts optimizer steps from 0; for adaptive recipes steps at the base batch, and is no whole number.
"""

import math
from dataclasses import dataclass

from largebatch.spaces.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningRate:
    """The schedule of one training: ``horizon_steps`` to the end of every decay, ``warmup_steps`` of them warm-up.

    References: gradual and constant warm-up, Goyal et al. (2017), arXiv 1706.02677, section 2.2; ``cosine``,
    Loshchilov, Hutter (2017), arXiv 1608.03983; ``polynomial``, You et al. (2017), arXiv 1708.03888, section 5;
    ``step``, He et al. (2016), arXiv 1512.03385, section 3.4; ``wsd``, Hu et al. (2024), arXiv 2404.06395, section 4.
    ``plateau`` is ``halvings`` of the rate, counted by ``Plateau``.
    """

    recipe: Recipe
    warmup_steps: int
    horizon_steps: int

    def factor(self, position: float, *, halvings: int = 0) -> float:
        """The share of ``recipe.learning_rate`` at ``position``.

        The warm-up's first step is one ``warmup_steps``-th of the way up from ``warmup_factor``, its last the full
        rate. A decay begins at its end (``wsd``: in the last ``decay_fraction``), is zero at the horizon, and stays so.
        """
        recipe = self.recipe
        if position < self.warmup_steps:
            if recipe.warmup_shape == "constant":
                return recipe.warmup_factor
            return recipe.warmup_factor + (1 - recipe.warmup_factor) * (position + 1) / self.warmup_steps
        done = min((position - self.warmup_steps) / max(1, self.horizon_steps - self.warmup_steps), 1.0)
        match recipe.schedule:
            case "constant":
                return 1.0
            case "linear":
                return 1 - done
            case "cosine":
                return 0.5 * (1 + math.cos(math.pi * done))
            case "polynomial":
                return float((1 - done) ** recipe.polynomial_power)
            case "step":
                return float(recipe.step_factor ** math.floor(position / (recipe.step_fraction * self.horizon_steps)))
            case "wsd":
                left = 1 - position / self.horizon_steps
                return max(0.0, min(1.0, left / recipe.decay_fraction))
            case "plateau":
                return float(0.5**halvings)


def make_learning_rate(recipe: Recipe, *, max_examples: int, num_train_examples: int) -> LearningRate:
    """The schedule of ``recipe``; ``max_examples`` is its horizon where it names none."""
    batch = recipe.global_batch_size
    if recipe.adaptive != "none":
        batch = min(recipe.base_batch_size, batch)
    horizon_steps = max(1, (recipe.horizon_examples or max_examples) // batch)
    warmup_steps = recipe.warmup_steps or 0
    if recipe.warmup_epochs is not None:
        warmup_steps = _ceiling(recipe.warmup_epochs * num_train_examples / batch)
    elif recipe.warmup_fraction is not None:
        warmup_steps = _ceiling(recipe.warmup_fraction * horizon_steps)
    return LearningRate(recipe=recipe, warmup_steps=warmup_steps, horizon_steps=horizon_steps)


def _ceiling(steps: float) -> int:
    """Whole steps: a part of one is one, or the warm-up of a short training would be none. Rounding errors are none."""
    return math.ceil(steps * (1 - 1e-12))


@dataclass(slots=True)
class Plateau:
    """Counts halvings: one after every ``patience_evaluations`` without a better metric (smaller is better)."""

    patience_evaluations: int
    halvings: int = 0
    best: float = math.inf
    waited: int = 0

    def update(self, value: float) -> None:
        """Take in an evaluation; one that is not finite is no better."""
        if math.isfinite(value) and value < self.best:
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited == self.patience_evaluations:
            self.halvings, self.waited = self.halvings + 1, 0
