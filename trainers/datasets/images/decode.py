"""Encoded images to pixels: libjpeg-turbo for JPEG, Pillow for all else."""

import io
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images import pixels as pixels_of

QUALITY = 90
"""Of the JPEGs that ``shrink`` writes."""


class UnreadableImage(Exception):
    """Bytes that no decoder reads, and why."""


class _Codecs(NamedTuple):
    jpeg: Any
    cv2: Any
    pillow: Any


@cache
def codecs() -> _Codecs:
    """The decoders.

    Raises:
        UserError: where they are not installed.
    """
    try:
        import cv2
        import simplejpeg
        from PIL import Image
    except ImportError as error:
        raise UserError(f"images need {error.name}; install it: pip install 'largebatch[images]'") from error
    cv2.setNumThreads(0)  # a process of the loader is one core's
    return _Codecs(simplejpeg, cv2, Image)


def decode(data: bytes, *, least: tuple[int, int] = (0, 0), quick: bool = False) -> NDArray[np.uint8]:
    """Pixels, shape ``(height, width, 3)``.

    Args:
        data: Of the file.
        least: Height and width; a JPEG is decoded at 1/2, 1/4 or 1/8 where that leaves so many.
        quick: A JPEG's colours are not smoothed and its transform is rounded more, for a fourteenth of the time; pixels
            of noisy images differ by 2 of 255 on average and by 16 at most.

    Raises:
        UnreadableImage: saying why.
    """
    if _is_rgb_jpeg(data):
        options: dict[str, Any] = {"fastdct": True, "fastupsample": True} if quick else {}
        if least[0]:
            options |= {"min_height": least[0], "min_width": least[1], "min_factor": 2}
        try:
            pixels: NDArray[np.uint8] = codecs().jpeg.decode_jpeg(data, "RGB", **options)
            return pixels
        except ValueError:  # perhaps only what Pillow forgives
            pass
    try:
        with codecs().pillow.open(io.BytesIO(data)) as image:
            return np.asarray(pixels_of.rgb(image))
    except Exception as error:  # Pillow's decoders raise whatever they meet
        reason = "no known image format" if type(error).__name__ == "UnidentifiedImageError" else str(error)
        raise UnreadableImage(reason if data else "the file is empty") from error


def reductions(data: bytes) -> tuple[str, ...]:
    """What of an image that ``decode`` reads is not in its pixels: alpha, further frames, more than 8 bits."""
    if _is_rgb_jpeg(data):
        return ()
    with codecs().pillow.open(io.BytesIO(data)) as image:
        return pixels_of.reductions(image)


def image_shape(data: bytes) -> tuple[int, int]:
    """Height and width, from the header alone.

    Raises:
        UnreadableImage: saying why.
    """
    if _is_rgb_jpeg(data):
        header = codecs().jpeg.decode_jpeg_header(data)
        return header[0], header[1]
    try:
        with codecs().pillow.open(io.BytesIO(data)) as image:
            return image.height, image.width
    except Exception as error:
        raise UnreadableImage(str(error)) from error


def shrink(data: bytes, size: int) -> bytes:
    """The image as a JPEG whose shorter side has ``size`` pixels; ``data`` itself if it has no more."""
    pixels = decode(data)
    height, width = pixels.shape[:2]
    if min(height, width) <= size:
        return data
    shape = (max(size, round(width * size / height)), size) if height < width else (size, round(height * size / width))
    small = codecs().cv2.resize(pixels, shape, interpolation=codecs().cv2.INTER_AREA)
    encoded: bytes = codecs().jpeg.encode_jpeg(small, quality=QUALITY, colorsubsampling="420")
    return encoded


def _is_rgb_jpeg(data: bytes) -> bool:
    """Whether libjpeg-turbo decodes it: a JPEG, and no CMYK."""
    if not data.startswith(b"\xff\xd8"):
        return False
    try:
        return codecs().jpeg.decode_jpeg_header(data)[2] in ("YCbCr", "RGB", "Gray")
    except ValueError:
        return False
