"""What every weight average is, and the one of a recipe."""

import copy
from collections.abc import Callable, Iterator
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


def make_average(
    model: nn.Module, recipe: Recipe, max_examples: int, another: Callable[[], nn.Module]
) -> WeightAverage | None:
    """The weight average of ``recipe`` over ``model``; ``another`` makes one more such model."""
    from largebatch.trainers.averages.ema import ExponentialAverage
    from largebatch.trainers.averages.lawa import LatestAverage
    from largebatch.trainers.averages.power import PowerAverage

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


def frozen_copy(model: nn.Module, another: Callable[[], nn.Module]) -> nn.Module:
    """A copy that is never trained; one more model with the same state where this one cannot be copied."""
    try:
        made = copy.deepcopy(model)
    except Exception:  # weights that are computed from others, as by weight_norm; open files, locks
        made = another()
        made.load_state_dict(model.state_dict())
    return made.requires_grad_(False)


def averaged(frozen: nn.Module, model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """What is averaged, in the copy and in the model: trained parameters and floating-point buffers."""
    pairs = [
        *((mean.detach(), own.detach()) for mean, own in _both(frozen, model) if own.requires_grad),
        *zip(frozen.buffers(), model.buffers(), strict=True),
    ]
    pairs = [(mean, own) for mean, own in pairs if own.is_floating_point()]
    return [mean for mean, _ in pairs], [own for _, own in pairs]


def _both(frozen: nn.Module, model: nn.Module) -> Iterator[tuple[nn.Parameter, nn.Parameter]]:
    return zip(frozen.parameters(), model.parameters(), strict=True)
