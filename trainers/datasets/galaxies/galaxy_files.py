"""Images of real galaxies, read from files one by one."""

import io
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.pixels import rgb


class GalaxyFiles(Dataset[tuple[Tensor, int]]):
    """Image ``(3, size, size)`` and label of each of some labelled files."""

    def __init__(self, files: list[tuple[Path, int]], size: int) -> None:
        self._files, self._size = files, size

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self._files[index]
        return decode_image(path.read_bytes(), str(path), self._size), label


def decode_image(content: bytes, name: str, size: int) -> Tensor:
    """Red, green and blue of [0, 1], float32 ``(3, size, size)``, from the bytes of a picture of any size.

    Raises:
        UserError: if they are no whole picture, with the ``name`` of the file.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UserError("data: images need Pillow; install it: pip install 'largebatch[galaxies]'") from error
    try:
        with Image.open(io.BytesIO(content)) as file:
            picture = rgb(file).resize((size, size), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"data: {name} is no whole image ({error}); replace or remove it") from error
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(size, size, 3).permute(2, 0, 1).float() / 255
