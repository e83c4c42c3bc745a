"""The sky behind a cut-out: one galaxy and some stars, in three bands.

A spiral is a bulge, a disk, arms and clumps in the arms; an elliptical is one Sersic spheroid. What a picture's pixels
add up to in each band has much the same distribution for both classes, so that neither brightness nor colour tells them
apart; inside a spiral, bulge and arms differ in colour. Real galaxies do differ in colour, and a classifier would learn
little else.

Unit: brightness is flux a square arcsecond; 1 is far into the stretch. Bands run from red to blue.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from largebatch.trainers.datasets.galaxies.camera import stretch_factor
from largebatch.trainers.datasets.galaxies.draws import Draws
from largebatch.trainers.datasets.galaxies.profiles import Arms, Pose, disk_and_arms, spheroid

NUM_STARS = 4
"""At most, each there with a probability of ``STAR_PROBABILITY``."""
STAR_PROBABILITY = 0.3
CLUMP_CELLS = 24
"""The field that makes arms clumpy has so many cells a side."""
DISK_THICKNESS = 0.17
"""Axis ratio of a disk seen edge on."""
ELLIPTICAL_BRIGHTNESS = 1.05
"""So much more light makes an elliptical as bright in a picture as a spiral, for the stretch dims its centre more."""


def scene(spiral: Tensor, draws: Draws, field_arcsec: float, size: int) -> Tensor:
    """Brightness ``(batch, 3, size, size)``, noiseless and sharp; ``spiral`` is a bool for each example."""
    is_spiral = spiral[:, None, None]
    pixel = field_arcsec / size
    pose = Pose(
        x0=draws.between(-0.03, 0.03) * field_arcsec,
        y0=draws.between(-0.03, 0.03) * field_arcsec,
        turn=draws.between(0, math.pi),
        pixel=pixel,
        size=size,
    )
    cosine = draws.between(0.2, 1)
    disk_ratio = torch.sqrt(cosine**2 + DISK_THICKNESS**2 * (1 - cosine**2))
    ball = spheroid(
        pose,
        index=torch.where(is_spiral, draws.between(1, 3), draws.between(1.5, 5)),
        radius=torch.where(is_spiral, draws.between_logs(0.6, 2.2), draws.between_logs(3, 9)),
        axis_ratio=torch.where(is_spiral, disk_ratio**0.3, draws.between(0.35, 1)),
    )
    disk, arms = disk_and_arms(pose, scale=draws.between(4, 8.5), axis_ratio=disk_ratio, arms=_arms(draws))
    arms = arms * torch.exp(draws.between(0.3, 0.9) * _smooth_field(draws, size))
    bulge_share, arms_share = draws.between(0.03, 0.55), draws.between(0.1, 0.6)
    shares = torch.stack([bulge_share, (1 - bulge_share) * (1 - arms_share), (1 - bulge_share) * arms_share], 1)
    shares = torch.where(is_spiral[:, None], shares, shares.new_tensor([1, 0, 0])[:, None, None])
    flux = draws.between_logs(40, 700) * torch.where(is_spiral, 1, ELLIPTICAL_BRIGHTNESS) / pixel**2
    parts = torch.stack([_unit_flux(part) * flux for part in (ball, disk, arms)], 1) * shares
    galaxy = torch.einsum("bpc,bpyx->bcyx", _part_colours(parts, draws), parts)
    return galaxy + _stars(draws, size) / pixel**2


def _arms(draws: Draws) -> Arms:
    many = draws.between(0, 1)
    return Arms(
        number=torch.where(many < 0.7, 2.0, torch.where(many < 0.85, 3.0, 4.0)).to(draws.dtype),
        hand=torch.where(draws.between(0, 1) < 0.5, 1.0, -1.0).to(draws.dtype),
        pitch=torch.tan(draws.between(math.radians(10), math.radians(30))),
        phase=draws.between(0, 2 * math.pi),
        contrast=draws.between(0.7, 3),
    )


def _part_colours(parts: Tensor, draws: Draws) -> Tensor:
    """Brightness of bulge, disk and arms in each band over that in the middle one, ``(batch, 3 parts, 3 bands)``.

    After the stretch, which dims bright parts, they add up to the galaxy's own colour, whatever they are.
    """
    ones = torch.ones(len(parts), 1, dtype=parts.dtype, device=parts.device)
    redness = draws.between(0, 1, 1)
    jitter = draws.between(-0.06, 0.06, 2)
    colour = torch.cat([1.05 + 0.3 * redness + jitter[:, :1], ones, 0.85 - 0.3 * redness + jitter[:, 1:]], 1)
    tilt = torch.stack([draws.between(0.1, 0.3, 1), 0 * ones, draws.between(-0.45, -0.15, 1)], 1)
    tints = torch.exp(tilt * _band_axis(draws, parts.device))
    whole = parts.sum(1, keepdim=True)
    shown = (parts * stretch_factor(whole)).sum((2, 3))
    shown = (shown / shown.sum(1, keepdim=True))[:, :, None]
    return tints * (colour / (shown * tints).sum(1))[:, None]


def _band_axis(draws: Draws, device: torch.device) -> Tensor:
    return torch.tensor([1.0, 0.0, -1.0], dtype=draws.dtype, device=device)


def _smooth_field(draws: Draws, size: int) -> Tensor:
    cells = draws.normal(1, CLUMP_CELLS, CLUMP_CELLS)
    return interpolate(cells, (size, size), mode="bicubic", align_corners=False)[:, 0]


def _stars(draws: Draws, size: int) -> Tensor:
    """Flux of points of light, each shared among the four nearest pixels, ``(batch, 3, size, size)``."""
    there = draws.between(0, 1, NUM_STARS, 1) < STAR_PROBABILITY
    colours = torch.exp(draws.between(-0.5, 0.5, NUM_STARS, 1) * _band_axis(draws, there.device))
    flux = 3 * (1 - draws.between(0, 0.99, NUM_STARS, 1)) ** -0.8 * colours * there
    places = torch.arange(size, dtype=draws.dtype, device=flux.device)
    rows, columns = (
        (1 - (draws.between(0.05, 0.95, NUM_STARS, 1) * size - places).abs()).clamp(min=0) for _ in range(2)
    )
    return torch.einsum("bsc,bsy,bsx->bcyx", flux, rows, columns)


def _unit_flux(image: Tensor) -> Tensor:
    return image / image.sum((1, 2), keepdim=True)
