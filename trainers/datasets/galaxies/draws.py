"""Random quantities of examples, from their keys: the same on every device and in every batch."""

import math

import torch
from torch import Tensor

from largebatch.trainers.data.example_random import ExampleRandom


class Draws:
    """Draws of ``dtype`` for the examples of ``random``; shapes begin with the batch."""

    def __init__(self, random: ExampleRandom, dtype: torch.dtype) -> None:
        self.random, self.dtype = random, dtype

    def between(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform between two bounds; shape ``(batch, *shape)``, or ``(batch, 1, 1)``, which goes with images."""
        return low + (high - low) * self.random.uniform(*(shape or (1, 1))).to(self.dtype)

    def between_logs(self, low: float, high: float) -> Tensor:
        """Log-uniform, shape ``(batch, 1, 1)``."""
        return self.between(math.log(low), math.log(high)).exp()

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers, shape ``(batch, *shape)``.

        Reference: Box, Muller (1958), doi:10.1214/aoms/1177706645. Uniforms have 24 bits: no number exceeds 5.8.
        """
        count = math.prod(shape)
        first, second = self.random.uniform(2, (count + 1) // 2).to(self.dtype).unbind(1)
        length, angle = torch.sqrt(-2 * torch.log1p(-first)), 2 * math.pi * second
        return torch.cat([length * torch.cos(angle), length * torch.sin(angle)], 1)[:, :count].reshape(-1, *shape)
