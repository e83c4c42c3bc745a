"""A small galaxy classifier: spiral or elliptical, drawn images of 32 x 32 pixels.

Ellipticals follow a Sersic profile (Sersic 1963); spirals an exponential disk with logarithmic arms and a bulge. Both
are seen at random sizes, tilts and places through a Gaussian point-spread function and noise. One band only, scaled to
equal flux, so that no class can be told by colour or brightness.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy
from torch.utils.data import TensorDataset

from largebatch import Task
from largebatch.spaces.target import Target
from largebatch.trainers.task import Metric

NUM_TRAIN, NUM_VALIDATION, NUM_PIXELS = 3_072, 1_024, 32


class Separable(nn.Module):
    """A depthwise and a pointwise convolution, batch norm, ReLU, pooling (Chollet 2017, arXiv 1610.02357)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, channels, H / 2, W / 2)``."""
        y: Tensor = self.pool(torch.relu(self.bn(self.pointwise(self.depthwise(x)))))
        return y


def galaxies() -> Task:
    """Two classes; the target is a validation accuracy of 0.9."""
    images, labels = draw(NUM_TRAIN + NUM_VALIDATION, torch.Generator().manual_seed(0))
    return Task(
        model=lambda: nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            Separable(8, 16), Separable(16, 24), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 2),
        ),
        train_data=TensorDataset(images[:NUM_TRAIN], labels[:NUM_TRAIN]),
        validation_data=TensorDataset(images[NUM_TRAIN:], labels[NUM_TRAIN:]),
        loss=cross_entropy,
        metrics={"val_accuracy": Metric(mean=_accuracy, low=0.0, high=1.0)},
        target=Target(metric="val_accuracy", above=0.9),
        max_examples=100_000,
        evaluation_examples=1_536,
    )  # fmt: skip


def draw(number: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images, shape (N, 1, 32, 32), of standard deviation about 1, and labels: 1 for a spiral."""

    def between(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand(number, generator=generator))[:, None, None]

    spiral = torch.rand(number, generator=generator) < 0.5
    grid = (torch.arange(NUM_PIXELS) - (NUM_PIXELS - 1) / 2) / NUM_PIXELS
    x, y = grid[None, None] - between(-0.04, 0.04), grid[None, :, None] - between(-0.04, 0.04)
    turn = between(0, math.pi)
    tilt = torch.where(spiral[:, None, None], between(0.35, 1.0), between(0.5, 1.0))
    along, across = x * torch.cos(turn) + y * torch.sin(turn), (y * torch.cos(turn) - x * torch.sin(turn)) / tilt
    radius, angle = torch.sqrt(along**2 + across**2 + 1e-5), torch.atan2(across, along)
    index = between(1.5, 4.5)
    elliptical = torch.exp(-(2 * index - 1 / 3) * (radius / between(0.08, 0.18)) ** (1 / index))
    disk = torch.exp(-radius / between(0.10, 0.16))
    hand = torch.where(between(0, 1) < 0.5, -1.0, 1.0)
    phase = 2 * (hand * angle - torch.log(radius / 0.05) / torch.tan(between(0.3, 0.6))) + between(0, 2 * math.pi)
    arms = torch.exp(between(0.7, 2.0) * (torch.cos(phase) - 1)) * disk
    bulge = torch.exp(-radius / between(0.015, 0.04))
    share = between(0.3, 0.6)
    drawn = (1 - share) * _unit_flux(disk) + share * _unit_flux(arms) + between(0.1, 0.5) * _unit_flux(bulge)
    image = _unit_flux(torch.where(spiral[:, None, None], drawn, _unit_flux(elliptical)))[:, None]
    offsets = torch.arange(-3, 4)
    blur = torch.exp(-0.5 * (offsets / 0.9) ** 2)
    blur = torch.outer(blur, blur) / blur.sum() ** 2
    image = conv2d(image, blur[None, None], padding=3) * NUM_PIXELS**2
    image = torch.asinh(image + between(0.1, 0.4)[:, None] * torch.randn(image.shape, generator=generator))
    return (image - image.mean()) / image.std(), spiral.long()


def _unit_flux(image: Tensor) -> Tensor:
    return image / image.sum(dim=(-2, -1), keepdim=True)


def _accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == targets).float().mean()
