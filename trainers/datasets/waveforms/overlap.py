"""How well the waveform at the predicted parameters matches the one at the true parameters."""

from dataclasses import dataclass

import torch
from torch import Tensor

from largebatch.trainers.datasets.waveforms.parameters import MAX_Q, MAX_SPIN, unscaled
from largebatch.trainers.datasets.waveforms.rom import Rom


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """``|<h, h'>| / (|h| |h'|)``, the mean over a batch; 1 is a perfect match.

    The absolute value of the complex product is its maximum over a constant phase; times are not shifted against one
    another, and all frequencies weigh the same. Predictions outside the waveforms' domain count as the nearest inside.

    Args:
        rom: Makes both waveforms.
        scaled_targets: Labels lie between -1 and 1.
    """

    rom: Rom
    scaled_targets: bool

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean match, from labels of shape ``(N, 5)``."""
        (amplitude, phase), (true_amplitude, true_phase) = (self._waveform(batch) for batch in (outputs, targets))
        product = torch.polar(amplitude * true_amplitude, phase - true_phase).sum(dim=1).abs()
        norms = amplitude.square().sum(dim=1) * true_amplitude.square().sum(dim=1)
        return (product / norms.sqrt()).mean()

    def _waveform(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        q, s1, s2 = (unscaled(batch.float()) if self.scaled_targets else batch.float())[:, :3].unbind(dim=1)
        return self.rom(q.clamp(1, MAX_Q), s1.clamp(-MAX_SPIN, MAX_SPIN), s2.clamp(-MAX_SPIN, MAX_SPIN))
