"""The small version of ``imagenet``: 70,000 real images of 28x28 pixels, a small ResNet, accuracy 0.86.

Data: Xiao, Rasul, Vollgraf (2017), Fashion-MNIST, arXiv 1708.07747, MIT licence, in its own four files, as Debian's
package ``dataset-fashion-mnist`` brings them.
"""

import gzip
from collections import OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.trainers.data.example_random import ExampleRandom
from largebatch.trainers.layers.normalise import Normalise
from largebatch.trainers.models.resnet import ResNet
from largebatch.trainers.task import Metric, Task
from largebatch.trainers.tasks.data_folder import data_folder
from largebatch.trainers.tasks.imagenet import top_accuracy

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
MEAN, DEVIATION = 0.2860, 0.3530
"""Of the training images, as shares of 255."""


def images_small() -> Task:
    """60,000 training and 10,000 validation images, ten classes; mirrored at random as bytes on the device.

    The files are looked for in ``LARGEBATCH_DATA/fashion-mnist``, then where Debian's package puts them.
    """
    folder = _folder()
    return Task(
        model=_model,
        train_data=_images(folder, "train"),
        validation_data=_images(folder, "t10k"),
        loss=partial(cross_entropy, label_smoothing=0.1),
        metrics={
            "val_accuracy": Metric(mean=partial(top_accuracy, count=1), low=0.0, high=1.0),
            "val_top5": Metric(mean=partial(top_accuracy, count=5), low=0.0, high=1.0),
        },
        target=Target(metric="val_accuracy", above=0.86),
        max_examples=600_000,
        evaluation_examples=10_000,
        augment=_mirror,
    )


def _model() -> nn.Module:
    network = ResNet(blocks=(1, 1), width=8, num_classes=10, in_channels=1)
    return nn.Sequential(OrderedDict(normalise=Normalise([MEAN], [DEVIATION]), network=network))


def _mirror(pixels: Tensor, random: ExampleRandom) -> Tensor:
    return torch.where(random.uniform(1, 1, 1) < 0.5, pixels.flip(-1), pixels)


def _folder() -> Path:
    for folder in (data_folder("fashion-mnist"), DEBIAN_FOLDER):
        if folder is not None and (folder / "train-images-idx3-ubyte.gz").exists():
            return folder
    raise UserError(
        "task: images-small needs Fashion-MNIST; install it: apt-get install dataset-fashion-mnist; or, without root, "
        "put its four .gz files into DIR/fashion-mnist and set LARGEBATCH_DATA=DIR; `digits` needs no data"
    )


def _images(folder: Path, part: str) -> TensorDataset:
    """Pixels, uint8 of shape ``(N, 1, 28, 28)``, and labels."""
    pixels, labels = _idx(folder / f"{part}-images-idx3-ubyte.gz"), _idx(folder / f"{part}-labels-idx1-ubyte.gz")
    if len(pixels) != len(labels):
        raise UserError(f"task: {folder} must hold as many labels as images; got {len(labels)} and {len(pixels)}")
    return TensorDataset(pixels[:, None], labels.to(torch.int64))


def _idx(file: Path) -> Tensor:
    """An array in LeCun's IDX format: two zeros, type (8: bytes), dimensions, their lengths, then the bytes."""
    try:
        data = gzip.decompress(file.read_bytes())
        shape = np.frombuffer(data, ">u4", count=data[3], offset=4)
        values = np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise UserError(f"task: {file} is no whole IDX file ({error}); copy it anew") from error
    return torch.from_numpy(values.copy())
