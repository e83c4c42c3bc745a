"""Random views of galaxies: flips, turns, zooms and shifts, as in Khan et al. (2019), arXiv 1812.02183.

Zoom is drawn for each axis and what comes in from outside repeats the edge, as Keras does it, which they used.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from largebatch.trainers.data.example_random import ExampleRandom

TURN_DEGREES, ZOOM, SHIFT = 45.0, 0.3, 0.3
"""At most, either way; zoom as a change of the factor 1, shift as a share of the side."""


def augment(images: Tensor, random: ExampleRandom) -> Tensor:
    """A random view of each of the images, ``(batch, channels, H, W)``, of the same shape and dtype."""
    draws = (2 * random.uniform(7) - 1).to(images.dtype)  # of [-1, 1)
    turn = draws[:, 0] * math.radians(TURN_DEGREES)
    zoom_x, zoom_y = ((1 + ZOOM * draws[:, i]) * torch.where(draws[:, j] < 0, -1, 1) for i, j in ((1, 3), (2, 4)))
    shift_x, shift_y = 2 * SHIFT * draws[:, 5], 2 * SHIFT * draws[:, 6]  # coordinates run from -1 to 1
    y, x = (_places(side, images) for side in images.shape[-2:])
    x, y = x[None, None, :], y[None, :, None]
    cos, sin, zoom_x, zoom_y, shift_x, shift_y = (
        value[:, None, None] for value in (torch.cos(turn), torch.sin(turn), zoom_x, zoom_y, shift_x, shift_y)
    )
    # written out, for affine_grid's product of matrices may round by the size of the batch
    grid = torch.stack([zoom_x * (x * cos - y * sin) + shift_x, zoom_y * (x * sin + y * cos) + shift_y], -1)
    return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _places(side: int, like: Tensor) -> Tensor:
    """Centres of pixels as ``grid_sample`` counts them."""
    return (2 * torch.arange(side, dtype=like.dtype, device=like.device) + 1) / side - 1
