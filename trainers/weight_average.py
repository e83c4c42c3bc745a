"""Weight averaging without a horizon: the average's window is a fixed share of the training so far.

Reference: Karras et al. (2024), arXiv 2312.02696, section 3.1: w_avg <- beta_t w_avg + (1 - beta_t) w with
beta_t = (1 - 1/t)^(gamma + 1). gamma = 6.94 makes the window's relative width 0.10. Unlike an exponential average it
needs no time scale that would have to move with the batch size.
"""

import copy

import torch
from torch import Tensor, nn

GAMMA = 6.94


class PowerAverage:
    """A copy of ``model`` whose parameters and running statistics are the averages of its own."""

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._averages = _floating(self.model)
        self._sources = _floating(model)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimizer step number ``step`` (from 1)."""
        torch._foreach_lerp_(self._averages, self._sources, 1 - (1 - 1 / step) ** (GAMMA + 1))


def _floating(model: nn.Module) -> list[Tensor]:
    tensors = [*(p.detach() for p in model.parameters()), *model.buffers()]
    return [tensor for tensor in tensors if tensor.is_floating_point()]
