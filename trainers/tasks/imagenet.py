"""ResNet-50 on ImageNet: 224 pixels, label smoothing 0.1, validation accuracy (top-1) 0.759.

References: the model is that of He et al. (2016), arXiv 1512.03385, the target that of MLPerf Training; label smoothing
and crops are those of Szegedy et al. (arXiv 1409.4842, 1512.00567). The images are the user's own: Russakovsky et al.
(2015), arXiv 1409.0575.
"""

from collections import OrderedDict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.trainers.datasets.images.image_shards import ImageShards
from largebatch.trainers.layers.normalise import IMAGENET_DEVIATION, IMAGENET_MEAN, Normalise
from largebatch.trainers.models.resnet import ResNet
from largebatch.trainers.task import Metric, Task
from largebatch.trainers.tasks.data_folder import data_folder

SIZE = 224
EPOCHS = 90


def imagenet(data: str | None = None) -> Task:
    """ImageNet, or any images that were prepared with splits ``train`` and ``val``.

    ``data`` is the --out of ``largebatch prepare images``; ``LARGEBATCH_DATA/imagenet`` if not given. A task of one's
    own for other images is ``lambda: imagenet("/data/flowers")``, perhaps with another target. Set
    ``execution.loader_workers`` in the study: decoding takes a core for about 1,300 images a second.
    """
    folder = Path(data) if data is not None else data_folder("imagenet")
    if folder is None or not (folder / "train").exists() or not (folder / "val").exists():
        found = "LARGEBATCH_DATA is not set" if folder is None else f"{folder} must hold the splits train and val"
        raise UserError(
            f"task: imagenet needs prepared images, but {found}; make them once: largebatch prepare images SRC --out "
            f"DIR/imagenet; then set LARGEBATCH_DATA=DIR"
        )
    train = ImageShards(folder / "train", size=SIZE, training=True)
    num_classes = len(train.classes)
    return Task(
        model=lambda: on_pixels(ResNet(blocks=(3, 4, 6, 3), width=64, num_classes=num_classes)),
        train_data=train,
        validation_data=ImageShards(folder / "val", size=SIZE, training=False),
        loss=partial(cross_entropy, label_smoothing=0.1),
        metrics={
            "val_accuracy": Metric(mean=partial(top_accuracy, count=1), low=0.0, high=1.0),
            "val_top5": Metric(mean=partial(top_accuracy, count=5), low=0.0, high=1.0),
        },
        target=Target(metric="val_accuracy", above=0.759),
        max_examples=EPOCHS * len(train),
        evaluation_examples=len(train),
    )


def on_pixels(network: nn.Module) -> nn.Sequential:
    """The network after a normalisation of pixels; its parameters are ``network.*``."""
    return nn.Sequential(OrderedDict(normalise=Normalise(IMAGENET_MEAN, IMAGENET_DEVIATION), network=network))


def top_accuracy(logits: Tensor, targets: Tensor, *, count: int) -> Tensor:
    """Share of examples whose class is among the ``count`` most likely ones."""
    best_NK = logits.topk(min(count, logits.shape[1]), dim=1).indices
    return torch.any(best_NK == targets[:, None], dim=1).float().mean()
