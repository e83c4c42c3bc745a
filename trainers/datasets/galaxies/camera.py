"""What lies between the sky and a picture: seeing, noise, and the stretch to red, green and blue.

References: Moffat (1969), A&A 3:455, with beta = 3.5, whose transfer function is elementary; the stretch of Lupton et
al. (2004), arXiv astro-ph/0312483, which keeps colours, so that a bright centre does not turn white.
"""

import math

import torch
from torch import Tensor

from largebatch.trainers.datasets.galaxies.draws import Draws

MOFFAT_BETA = 3.5
SHOT_NOISE = 0.004
"""Variance of a pixel a unit of its brightness, at the survey's own pixel size."""
SOFTENING, LINEAR_BELOW = 8.0, 0.044
"""Lupton's Q; the brightness up to which the stretch is nearly linear."""


def blur(images: Tensor, width: Tensor) -> Tensor:
    """Convolve with a Moffat function of full width at half maximum ``width``, in pixels, shape ``(batch, 1, 1)``.

    Opposite edges touch: the sky goes on beyond them much as it begins on the other side.
    """
    size = images.shape[-1]
    along = torch.fft.fftfreq(size, dtype=images.dtype, device=images.device)
    across = torch.fft.rfftfreq(size, dtype=images.dtype, device=images.device)
    alpha = width / (2 * math.sqrt(2 ** (1 / MOFFAT_BETA) - 1))
    x = 2 * math.pi * alpha * torch.sqrt(along[:, None] ** 2 + across**2)
    transfer = (1 + x + x**2 / 3) * torch.exp(-x)
    blurred: Tensor = torch.fft.irfft2(torch.fft.rfft2(images) * transfer[:, None], s=(size, size))
    return blurred


def add_noise(images: Tensor, sky_noise: Tensor, shot_noise: float, draws: Draws) -> Tensor:
    """Independent Gaussian noise of variance ``sky_noise^2 + shot_noise * brightness``."""
    deviation = torch.sqrt(shot_noise * images.clamp(min=0) + sky_noise**2)
    return images + deviation * draws.normal(*images.shape[1:])


def stretch(images: Tensor) -> Tensor:
    """Brightness ``(batch, 3, H, W)``, any range, to colours of [0, 1]."""
    images = images * stretch_factor(images.mean(1, keepdim=True))
    return images.clamp(min=0) / images.amax(1, keepdim=True).clamp(min=1)


def stretch_factor(mean: Tensor) -> Tensor:
    """What all bands of a pixel are multiplied by, from their mean."""
    mean = mean.clamp(min=1e-4)
    return torch.asinh(mean / LINEAR_BELOW) / (SOFTENING * mean)
