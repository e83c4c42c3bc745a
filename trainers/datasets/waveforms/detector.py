"""What a detector makes of a strain: coloured noise, whitening, a stretch of missing data.

The noise's spectrum is the analytic fit to Advanced LIGO's design,

    S(f) = x^-4.14 - 5 x^-2 + 111 (1 - x^2 + x^4 / 2) / (1 + x^2 / 2),    x = f / 215 Hz,

divided by its minimum and held below 20 Hz, for a binary of 60 solar masses, whose M is 0.3 ms. Noise is periodic over
the samples, its strength such that the optimal signal-to-noise ratio of every example is the one asked for:
``ratio^2 = sum_f |h(f)|^2 / (sigma^2 S(f))``.

N: waveforms; T: samples.

Reference: Sathyaprakash, Schutz (2009), Living Rev. Relativ. 12:2, table 1.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from largebatch.spaces.errors import UserError
from largebatch.trainers.data.example_random import ExampleRandom, example_keys

TOTAL_MASS_SECONDS = 60 * 4.925491e-6
_KNEE_HZ, _LOWEST_HZ = 215.0, 20.0
_TAPER_FRACTION = 1 / 16
_FIXED_SEED = 20_200_919


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """``detector(strain, random)`` disturbs strains of shape ``(N, 1, T)``; all it draws comes from ``random``.

    Args:
        step: Between samples, in M.
        signal_to_noise: The optimal ratio of every example; infinite for no noise.
        whiten: Divide by the root of the noise's spectrum, the start of the signal tapered.
        missing_fraction: Share of the samples, in one stretch at a random place, that are zero in the end.
    """

    step: float
    signal_to_noise: float = math.inf
    whiten: bool = False
    missing_fraction: float = 0.0

    def __post_init__(self) -> None:
        if not self.signal_to_noise > 0:
            raise UserError(
                f"signal_to_noise must be > 0; got {self.signal_to_noise:g}; leave it out for strains without noise"
            )
        if not 0 <= self.missing_fraction < 1:
            raise UserError(
                f"0 <= missing_fraction < 1 must hold; got {self.missing_fraction:g}; 0.1 zeroes a tenth of each strain"
            )

    @property
    def changes_nothing(self) -> bool:
        """Whether strains come out as they went in."""
        return math.isinf(self.signal_to_noise) and not self.whiten and self.missing_fraction == 0

    def __call__(self, strain: Tensor, random: ExampleRandom) -> Tensor:
        """The strains with new noise and new gaps."""
        if self.whiten or math.isfinite(self.signal_to_noise):
            strain = self._with_noise(strain, random)
        if self.missing_fraction > 0:
            strain = strain * self._present(strain, random)
        return strain

    def fixed(self, strain: Tensor, indices: Tensor) -> Tensor:
        """The strains of validation examples: noise and gaps belong to their indices, shape ``(N,)``."""
        return self(strain, ExampleRandom(example_keys(_FIXED_SEED, indices)))

    def _with_noise(self, strain: Tensor, random: ExampleRandom) -> Tensor:
        num_samples = strain.shape[-1]
        root = spectrum(torch.fft.rfftfreq(num_samples, self.step, dtype=torch.float64)).sqrt().to(strain)
        whitened: Tensor = torch.fft.irfft(torch.fft.rfft(strain * _taper(strain)) / root, num_samples)
        if math.isinf(self.signal_to_noise):
            return whitened
        noise = normal(random, num_samples)[:, None].to(strain)
        noise = noise * (whitened.square().sum(dim=-1, keepdim=True).sqrt() / self.signal_to_noise)
        if self.whiten:
            disturbed: Tensor = whitened + noise
        else:
            disturbed = strain + torch.fft.irfft(torch.fft.rfft(noise) * root, num_samples)
        return disturbed

    def _present(self, strain: Tensor, random: ExampleRandom) -> Tensor:
        num_samples = strain.shape[-1]
        length = round(self.missing_fraction * num_samples)
        first = (random.uniform(1, 1) * (num_samples - length + 1)).long()
        sample = torch.arange(num_samples, device=strain.device)
        return ((sample < first) | (sample >= first + length)).to(strain.dtype)


def spectrum(frequency: Tensor) -> Tensor:
    """Power of the noise at frequencies in cycles per M, over that where the detector is best."""
    x = (frequency / TOTAL_MASS_SECONDS).clamp(min=_LOWEST_HZ) / _KNEE_HZ
    return _fit(x) / _fit(torch.linspace(0.5, 2, 1_001, dtype=x.dtype, device=x.device)).min()


def normal(random: ExampleRandom, count: int) -> Tensor:
    """Normal numbers, float32 of shape ``(N, count)``: Box, Muller (1958), doi:10.1214/aoms/1177706645."""
    radius, angle = random.uniform(2, -(-count // 2)).unbind(dim=1)
    radius, angle = (-2 * torch.log1p(-radius)).sqrt(), 2 * math.pi * angle
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count]


def _fit(x: Tensor) -> Tensor:
    return x**-4.14 - 5 / x**2 + 111 * (1 - x**2 + x**4 / 2) / (1 + x**2 / 2)


def _taper(strain: Tensor) -> Tensor:
    """Rises as a cosine from 0 to 1 over the first samples, shape ``(T,)``."""
    share = torch.arange(strain.shape[-1], device=strain.device) / (_TAPER_FRACTION * strain.shape[-1])
    return ((1 - torch.cos(math.pi * share.clamp(max=1))) / 2).to(strain.dtype)
