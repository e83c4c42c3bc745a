"""How the light of a galaxy is spread over the sky: Sersic spheroids, and disks with spiral arms.

Notation: x, y are arcseconds from the galaxy's centre along its major and minor axis, of shape ``(batch, H, W)``;
parameters have shape ``(batch, 1, 1)``. Results are brightness up to a factor.

References: Sersic (1963), Bol. Asoc. Argentina Astron. 6:41; b(n) after Ciotti, Bertin (1999), arXiv
astro-ph/9911078, eq. 18; arms are logarithmic spirals of constant pitch, Kennicutt (1981), doi:10.1086/113064.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

WINDOW_PIXELS = 7
"""The pixels round a spheroid's centre, where its brightness varies within a pixel, are sampled more densely."""
SUB_SAMPLES = 5
"""Samples a side of each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where a galaxy lies in an image of ``size x size`` pixels, and how it is turned.

    Args:
        x0, y0: Arcseconds from the image's centre.
        turn: Angle of the major axis, in radians.
        pixel: Side of a pixel in arcseconds.
        size: Pixels a side.
    """

    x0: Tensor
    y0: Tensor
    turn: Tensor
    pixel: float
    size: int

    def axes(self, columns: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """x and y at (fractions of) columns ``(batch or 1, 1, W)`` and rows ``(batch or 1, H, 1)``."""
        middle = (self.size - 1) / 2
        right, down = (columns - middle) * self.pixel - self.x0, (rows - middle) * self.pixel - self.y0
        cos, sin = torch.cos(self.turn), torch.sin(self.turn)
        return right * cos + down * sin, down * cos - right * sin

    def pixels(self) -> tuple[Tensor, Tensor]:
        """x and y at the centres of all pixels."""
        places = torch.arange(self.size, dtype=self.x0.dtype, device=self.x0.device)
        return self.axes(places[None, None, :], places[None, :, None])


def sersic(x: Tensor, y: Tensor, *, index: Tensor, radius: Tensor, axis_ratio: Tensor) -> Tensor:
    """Brightness 1 at the effective ``radius`` in arcseconds, within which lies half of the light."""
    b = 2 * index - 1 / 3 + 4 / (405 * index) + 46 / (25_515 * index**2)
    distance = torch.sqrt(x**2 + (y / axis_ratio) ** 2)
    return torch.exp(-b * ((distance / radius) ** (1 / index) - 1))


def spheroid(pose: Pose, *, index: Tensor, radius: Tensor, axis_ratio: Tensor) -> Tensor:
    """A Sersic profile, averaged over each pixel near its cusp and taken at the centres of the others."""
    x, y = pose.pixels()
    image = sersic(x, y, index=index, radius=radius, axis_ratio=axis_ratio)
    width = min(WINDOW_PIXELS, pose.size)
    # the first row and column of the window
    corners = [
        (start / pose.pixel + (pose.size - width) / 2).round().clamp(0, pose.size - width)
        for start in (pose.y0, pose.x0)
    ]
    fine = (torch.arange(width * SUB_SAMPLES, dtype=x.dtype, device=x.device) + 0.5) / SUB_SAMPLES - 0.5
    x, y = pose.axes(corners[1] + fine[None, None, :], corners[0] + fine[None, :, None])
    samples = sersic(x, y, index=index, radius=radius, axis_ratio=axis_ratio)
    whole = torch.arange(width, device=x.device)
    rows, columns = corners[0].long() + whole[None, :, None], corners[1].long() + whole[None, None, :]
    image[torch.arange(len(image), device=x.device)[:, None, None], rows, columns] = avg_pool2d(samples, SUB_SAMPLES)
    return image


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """Shape of spiral arms.

    Args:
        number: How many.
        hand: 1 or -1, which way they wind.
        pitch: Tangent of the angle between an arm and a circle.
        phase: Radians.
        contrast: How narrow they are; the light falls to ``exp(-2 contrast)`` between two of them.
    """

    number: Tensor
    hand: Tensor
    pitch: Tensor
    phase: Tensor
    contrast: Tensor


def disk_and_arms(pose: Pose, *, scale: Tensor, axis_ratio: Tensor, arms: Arms) -> tuple[Tensor, Tensor]:
    """An exponential disk of a scale length in arcseconds, and what its arms add, which start outside the bulge."""
    x, y = pose.pixels()
    y = y / axis_ratio
    distance = torch.sqrt(x**2 + y**2 + (pose.pixel / 4) ** 2) / scale
    disk = torch.exp(-distance)
    winding = arms.number * (arms.hand * torch.atan2(y, x) - torch.log(distance) / arms.pitch) + arms.phase
    inside = distance**2
    return disk, torch.exp(arms.contrast * (torch.cos(winding) - 1)) * disk * (inside / (inside + 0.3))
