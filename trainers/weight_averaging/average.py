"""What every weight average is, and the copy of the model that each keeps."""

import copy
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from torch import Tensor, nn


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
