"""What every weight average is, and the one of a recipe."""

import copy
from typing import Any, Protocol

from torch import Tensor, nn

from largebatch.spaces.recipe import Recipe


class WeightAverage(Protocol):
    """Keeps a copy of a model whose weights and running statistics are averages of its own."""

    model: nn.Module

    def after_step(self, step: int, batch_size: int) -> None:
        """Take in the weights after optimizer step number ``step`` (from 1) on ``batch_size`` examples."""

    def before_evaluation(self) -> None:
        """Make ``model`` ready to be evaluated."""

    def state(self) -> dict[str, Any]:
        """All that resuming needs besides ``model``."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""


def make_average(model: nn.Module, recipe: Recipe, max_examples: int) -> WeightAverage | None:
    """The weight average of ``recipe`` over ``model``."""
    from largebatch.trainers.averages.ema import ExponentialAverage
    from largebatch.trainers.averages.lawa import LatestAverage
    from largebatch.trainers.averages.power import PowerAverage

    match recipe.weight_averaging:
        case "none":
            return None
        case "power":
            return PowerAverage(model)
        case "ema":
            horizon = recipe.horizon_examples or max_examples
            return ExponentialAverage(model, recipe.averaging_examples or max(1, horizon // 20))
        case "lawa":
            return LatestAverage(model, recipe.averaging_evaluations)


def frozen_copy(model: nn.Module) -> nn.Module:
    """A copy that is never trained."""
    return copy.deepcopy(model).requires_grad_(False)


def floating(model: nn.Module) -> list[Tensor]:
    """Parameters and floating-point buffers: what is averaged."""
    tensors = [*(parameter.detach() for parameter in model.parameters()), *model.buffers()]
    return [tensor for tensor in tensors if tensor.is_floating_point()]
