"""Pixels to numbers of mean 0 and variance 1, on the device: bytes are a quarter of what floats take to get there."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """``(N, C, H, W)`` bytes to float32 of the same shape and memory format.

    Args:
        mean: Of each channel, as a share of 255.
        deviation: Standard deviation of each channel, likewise.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        mean_C, deviation_C = torch.tensor(mean), torch.tensor(deviation)
        self.register_buffer("scale", (1 / (255 * deviation_C)).view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", (-mean_C / deviation_C).view(-1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalise."""
        return torch.addcmul(self.shift, pixels.float(), self.scale)
