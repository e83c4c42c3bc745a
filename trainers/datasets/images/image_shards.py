"""Prepared images as a data set: an index to a decoded, cropped image, in any order.

With a ``Loader`` this is a streaming reader: the shuffle is the same for any number of workers and processes, resumes
at any place of an epoch, and comes by blocks of neighbours in a file; decoding is done in the loader's processes.
"""

from collections import OrderedDict
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.crops import central_crop, random_crop
from largebatch.trainers.datasets.images.decode import UnreadableImage, codecs
from largebatch.trainers.datasets.images.manifest import Manifest
from largebatch.trainers.datasets.images.shard_file import ShardFile

OPEN_SHARDS = 128
"""Files that one process holds open at most; a window of the shuffle has 64 blocks."""


class ImageShards(Dataset[Any]):
    """Items: an image, uint8 of shape ``(3, size, size)``, and its label.

    Args:
        folder: One split, as ``largebatch prepare images`` made it.
        size: Pixels.
        training: A random crop, mirrored or not; else the central one.

    Raises:
        UserError: where a shard is missing or cut short.
    """

    def __init__(self, folder: Path, *, size: int, training: bool) -> None:
        codecs()
        self._folder, self._size = folder, size
        self._crop = random_crop if training else central_crop
        self._manifest = Manifest.read(folder)
        self._manifest.check_sizes(folder)
        self._ends = np.array(list(accumulate(shard.num_rows for shard in self._manifest.shards)), dtype=np.int64)
        self._open: OrderedDict[int, ShardFile] = OrderedDict()

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, by label."""
        return self._manifest.classes

    @property
    def shuffle_block(self) -> int:
        """Neighbours that a shuffle should keep near each other in time."""
        return self._manifest.origin.block_rows

    @property
    def fingerprint(self) -> str:
        """Of the images' bytes and labels."""
        return self._manifest.fingerprint

    def __len__(self) -> int:
        return self._manifest.num_images

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        shard = self._manifest.shards[number]
        row = int(index - self._ends[number] + shard.num_rows)
        opened = self._shard(number)
        try:
            return self._crop(opened.image(row), self._size), int(opened.labels[row])
        except UnreadableImage as error:
            raise UserError(
                f"{self._folder / shard.file} was changed after it was prepared: image {row} is unreadable ({error}); "
                f"see which shards are with `largebatch prepare images --out {self._folder.parent} --verify`"
            ) from error

    def _shard(self, number: int) -> ShardFile:
        if number not in self._open:
            shard = self._manifest.shards[number]
            self._open[number] = ShardFile(self._folder / shard.file, shard)
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(number)
        return self._open[number]

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens its own files."""
        return {**self.__dict__, "_open": OrderedDict()}
