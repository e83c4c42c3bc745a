"""The exponential moving average of the weights, with a half-life in examples, whatever the batch.

Reference: Polyak, Juditsky (1992), doi:10.1137/0330046, for averaging; Busbridge et al. (2023), arXiv 2307.13813, for a
decay that moves with the batch size. The start is not weighted more than the rest (the bias correction of Adam, Kingma,
Ba (2015), arXiv 1412.6980, section 3).
"""

from typing import Any

import torch
from torch import nn

from largebatch.spaces.rule import half_life
from largebatch.trainers.weight_averaging.average import averaged


class ExponentialAverage:
    """Half of its weight lies on the last ``half_life_examples``."""

    def __init__(self, model: nn.Module, frozen: nn.Module, half_life_examples: int) -> None:
        self.model = frozen
        self._averages, self._sources = averaged(frozen, model)
        self._half_life_examples = half_life_examples
        self._weight = 0.0  # that the average's sum of weights has come to; 1 in the end

    @torch.no_grad()
    def after_step(self, step: int, batch_size: int) -> None:
        """Move the average towards the weights."""
        del step
        new = 1 - half_life(0.5, batch_size / self._half_life_examples)
        self._weight += new * (1 - self._weight)
        torch._foreach_lerp_(self._averages, self._sources, new / self._weight)

    def before_evaluation(self) -> None:
        """Nothing to do."""

    def state(self) -> dict[str, Any]:
        """The sum of weights."""
        return {"weight": self._weight}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._weight = state["weight"]
