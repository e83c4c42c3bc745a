"""A picture that Pillow opened, as red, green and blue of 8 bits: scaled, never clipped; what that leaves out."""

from typing import Any

import numpy as np

_EIGHT_BITS = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"})
_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})


def rgb(image: Any) -> Any:
    """The first frame in Pillow's mode ``RGB``; 16 bits become 8 in proportion, where Pillow would cut them off at 255.

    Raises:
        ValueError: for pixels without a range: 32 bits, whole or not.
    """
    if _is_sixteen_bits(image):
        from PIL import Image

        levels = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8)).convert("RGB")
    if image.mode not in _EIGHT_BITS:
        raise ValueError(f"pixels of mode {image.mode} (32 bits) have no known range; save it with 8 or 16 bits")
    if image.mode == "P" and "transparency" in image.info:  # straight to RGB, Pillow warns of each such picture
        image = image.convert("RGBA")
    return image.convert("RGB")


def reductions(image: Any) -> tuple[str, ...]:
    """What of a picture is not in ``rgb`` of it."""
    found = []
    if _is_sixteen_bits(image):
        found.append("16 bits, scaled to 8")
    if getattr(image, "n_frames", 1) > 1:
        found.append("further frames, left out")
    if image.mode in _ALPHA or "transparency" in image.info:
        lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
        if lowest < 255:
            found.append("an alpha channel, left out")
    return tuple(found)


def _is_sixteen_bits(image: Any) -> bool:
    """Pillow opened PNGs of 16 bits as ``I`` until version 11."""
    mode: str = image.mode
    return mode.startswith("I;16") or (mode == "I" and image.format == "PNG")
