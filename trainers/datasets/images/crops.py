"""The crops of training and validation, decoded at once.

Those of Szegedy et al. (2015), arXiv 1409.4842, section 6: in training a random share of the area at a random aspect
ratio, in validation the central 7/8. Random numbers are Python's ``random``, which the loader seeds by the example. A
crop of at least twice the size that is asked for is decoded at a lower resolution.
"""

import math
import random
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from largebatch.trainers.datasets.images.decode import codecs, decode, image_shape

AREA = (0.08, 1.0)
ASPECT_RATIO = (3 / 4, 4 / 3)
CENTRAL_SHARE = 224 / 256


class _Box(NamedTuple):
    """A part of an image, pixels."""

    top: int
    left: int
    height: int
    width: int


def random_crop(data: bytes, size: int) -> Tensor:
    """A random part of an image, mirrored every second time: uint8, shape ``(3, size, size)``."""
    height, width = image_shape(data)
    pixels = _resized(data, _random_box(height, width), size, (height, width))
    return _planes(codecs().cv2.flip(pixels, 1) if random.random() < 0.5 else pixels)


def central_crop(data: bytes, size: int) -> Tensor:
    """The central 7/8 of an image's shorter side, squared: uint8, shape ``(3, size, size)``."""
    height, width = image_shape(data)
    side = max(1, round(CENTRAL_SHARE * min(height, width)))
    box = _Box((height - side) // 2, (width - side) // 2, side, side)
    return _planes(_resized(data, box, size, (height, width)))


def _random_box(height: int, width: int) -> _Box:
    for _ in range(10):
        area = height * width * random.uniform(*AREA)
        ratio = math.exp(random.uniform(*map(math.log, ASPECT_RATIO)))
        box_width, box_height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < box_width <= width and 0 < box_height <= height:
            top, left = random.randint(0, height - box_height), random.randint(0, width - box_width)
            return _Box(top, left, box_height, box_width)
    box_height, box_width = min(height, round(width / ASPECT_RATIO[0])), min(width, round(height * ASPECT_RATIO[1]))
    return _Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


def _resized(data: bytes, box: _Box, size: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The part of an image of that shape, ``(size, size, 3)``."""
    least = (0, 0)
    if min(box.height, box.width) >= 2 * size:
        least = (math.ceil(shape[0] * size / box.height), math.ceil(shape[1] * size / box.width))
    pixels = decode(data, least=least, quick=True)
    down, across = pixels.shape[0] / shape[0], pixels.shape[1] / shape[1]
    top, left = int(box.top * down), int(box.left * across)
    part = pixels[top : top + max(1, round(box.height * down)), left : left + max(1, round(box.width * across))]
    resized: NDArray[np.uint8] = codecs().cv2.resize(part, (size, size), interpolation=codecs().cv2.INTER_LINEAR)
    return resized


def _planes(pixels: NDArray[np.uint8]) -> Tensor:
    """``(size, size, 3)`` to ``(3, size, size)``; OpenCV takes them apart five times as fast as a transposed copy."""
    planes = np.empty((3, *pixels.shape[:2]), dtype=np.uint8)
    codecs().cv2.split(pixels, list(planes))
    return torch.from_numpy(planes)
