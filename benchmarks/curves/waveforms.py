"""A small waveform regression: the mass ratio of merging black holes from the last part of their waveform.

Waveforms: the reduced-order model of IMRPhenomT's (2, 2) mode that ships (Estelles et al. 2022, arXiv 2105.05872).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import TensorDataset

from largebatch import Task
from largebatch.spaces.target import Target
from largebatch.trainers.datasets.waveforms.rom import Rom
from largebatch.trainers.datasets.waveforms.times import Times

NUM_TRAIN, NUM_VALIDATION, NUM_SAMPLES = 4_096, 512, 128


class Gate(nn.Module):
    """tanh times sigmoid of two convolutions, as in WaveNet (van den Oord et al. 2016, arXiv 1609.03499)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, 2 * channels, 4, stride=4)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, T)`` to ``(N, channels, T / 4)``."""
        a, b = self.conv(x).chunk(2, dim=1)
        return torch.tanh(a) * torch.sigmoid(b)


def waveforms() -> Task:
    """Regress 2 log(q) / log(8) - 1, which lies between -1 and 1; the target is a mean square error of 0.005."""
    generator = torch.Generator().manual_seed(0)
    units = torch.rand(NUM_TRAIN + NUM_VALIDATION, 3, generator=generator) * 2 - 1
    inputs, targets = strains(units), units[:, :1]
    return Task(
        model=lambda: nn.Sequential(
            Gate(1, 16), Gate(16, 24), nn.Flatten(), nn.Linear(24 * NUM_SAMPLES // 16, 48), nn.Tanh(), nn.Linear(48, 1)
        ),
        train_data=TensorDataset(inputs[:NUM_TRAIN], targets[:NUM_TRAIN]),
        validation_data=TensorDataset(inputs[NUM_TRAIN:], targets[NUM_TRAIN:]),
        loss=mse_loss,
        target=Target(metric="val_loss", below=0.005),
        max_examples=150_000,
        evaluation_examples=2_048,
    )


def strains(units: Tensor) -> Tensor:
    """The real part of the strain round the merger, shape (N, 1, T), from parameters in [-1, 1], shape (N, 3)."""
    amplitude, phase = Rom(Times(first=-1_916.0, step=16.0, num_samples=NUM_SAMPLES)).of_scaled(*units.T)
    strain = (amplitude * torch.cos(phase))[:, None]
    return strain / strain.std()
