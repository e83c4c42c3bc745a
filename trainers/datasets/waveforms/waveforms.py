"""Waveforms of a grid of parameters, computed where they are trained on."""

from typing import Protocol

import torch
from torch import Tensor

from largebatch.trainers.data.batch_source import BatchSource
from largebatch.trainers.datasets.waveforms.detector import Detector
from largebatch.trainers.datasets.waveforms.parameters import Grid, labels, scaled
from largebatch.trainers.datasets.waveforms.times import Times


class WaveformGenerator(Protocol):
    """Makes the (2, 2) mode at ``times`` from mass ratio and spins."""

    name: str
    times: Times

    def __call__(self, q: Tensor, s1: Tensor, s2: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitude and phase, shape ``(N, T)`` each, from parameters of shape ``(N,)``."""


class Waveforms(BatchSource):
    """Strains, float32 of shape ``(N, 1, T)``, and the five labels, shape ``(N, 5)``.

    Args:
        grid: Whose points the examples are.
        generator: Makes the waveforms, on the device of the indices.
        detector: Disturbs each strain, always in the same way. For training, leave it to ``Task.augment``.
        scaled_targets: Labels between -1 and 1.
    """

    def __init__(
        self,
        grid: Grid,
        generator: WaveformGenerator,
        *,
        detector: Detector | None = None,
        scaled_targets: bool = False,
    ) -> None:
        self._grid, self._generator, self._detector = grid, generator, detector
        self._scaled_targets = scaled_targets

    def __len__(self) -> int:
        return len(self._grid)

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Strains and labels of the points at ``indices``, shape ``(N,)``."""
        parameters = self._grid.parameters(indices)
        amplitude, phase = self._generator(*parameters)
        strain = (amplitude * torch.cos(phase))[:, None]
        if self._detector is not None:
            strain = self._detector.fixed(strain, indices)
        targets = labels(*parameters)
        return strain, scaled(targets) if self._scaled_targets else targets
