"""Weight averaging without a horizon: the average's window is a fixed share of the training so far.

Reference: Karras et al. (2024), arXiv 2312.02696, section 3.1: w_avg <- beta_t w_avg + (1 - beta_t) w with
beta_t = (1 - 1/t)^(gamma + 1). gamma = 6.94 makes the window's relative width 0.10. Unlike an exponential average it
needs no time scale that would have to move with the batch size.
"""

from typing import Any

import torch
from torch import nn

from largebatch.trainers.weight_averaging.average import averaged

GAMMA = 6.94


class PowerAverage:
    """The power-law average of ``model``."""

    def __init__(self, model: nn.Module, frozen: nn.Module) -> None:
        self.model = frozen
        self._averages, self._sources = averaged(frozen, model)

    @torch.no_grad()
    def after_step(self, step: int, batch_size: int) -> None:
        """Move the average by the weight of step ``step``."""
        del batch_size
        torch._foreach_lerp_(self._averages, self._sources, 1 - (1 - 1 / step) ** (GAMMA + 1))

    def before_evaluation(self) -> None:
        """Nothing to do."""

    def state(self) -> dict[str, Any]:
        """Nothing besides the average."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to load."""
