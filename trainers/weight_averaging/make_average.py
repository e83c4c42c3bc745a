"""The weight average of a recipe."""

from collections.abc import Callable

from torch import nn

from largebatch.spaces.recipe import Recipe
from largebatch.trainers.weight_averaging.average import WeightAverage, frozen_copy
from largebatch.trainers.weight_averaging.ema import ExponentialAverage
from largebatch.trainers.weight_averaging.lawa import LatestAverage
from largebatch.trainers.weight_averaging.power import PowerAverage


def make_average(
    model: nn.Module, recipe: Recipe, max_examples: int, another: Callable[[], nn.Module]
) -> WeightAverage | None:
    """The weight average of ``recipe`` over ``model``; ``another`` makes one more such model."""
    if recipe.weight_averaging == "none":
        return None
    frozen = frozen_copy(model, another)
    match recipe.weight_averaging:
        case "power":
            return PowerAverage(model, frozen)
        case "ema":
            horizon = recipe.horizon_examples or max_examples
            return ExponentialAverage(model, frozen, recipe.averaging_examples or max(1, horizon // 20))
        case "lawa":
            return LatestAverage(model, frozen, recipe.averaging_evaluations)
