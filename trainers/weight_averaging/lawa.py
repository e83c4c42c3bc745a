"""The average of the weights at the latest evaluations.

Reference: Kaddour (2022), Stop wasting my time! Saving days of ImageNet and BERT training with latest weight averaging,
arXiv 2209.14981, section 2.
"""

from typing import Any

import torch
from torch import Tensor, nn

from largebatch.trainers.weight_averaging.average import averaged


class LatestAverage:
    """The mean of the weights at the last ``num_evaluations`` evaluations."""

    def __init__(self, model: nn.Module, frozen: nn.Module, num_evaluations: int) -> None:
        self.model = frozen
        self._averages, self._sources = averaged(frozen, model)
        self._num_evaluations = num_evaluations
        self._latest: list[list[Tensor]] = []

    def after_step(self, step: int, batch_size: int) -> None:
        """Nothing to do: weights count at evaluations alone."""

    @torch.no_grad()
    def before_evaluation(self) -> None:
        """Take in the weights, drop the oldest, average."""
        self._latest = [*self._latest, [source.clone() for source in self._sources]][-self._num_evaluations :]
        for average, *weights in zip(self._averages, *self._latest, strict=True):
            average.copy_(torch.stack(weights).mean(0))

    def state(self) -> dict[str, Any]:
        """The weights that the average holds."""
        return {"latest": self._latest}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._latest = [
            [tensor.to(source.device) for tensor, source in zip(tensors, self._sources, strict=True)]
            for tensors in state["latest"]
        ]
