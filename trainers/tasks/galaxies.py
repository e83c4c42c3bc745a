"""Spiral or elliptical: drawn galaxies, or cut-outs of real ones, and Xception.

Reference: Khan et al. (2019), Phys. Lett. B 795, 248, arXiv 1812.02183. Accuracy on drawn galaxies is synthetic: it
says how fast training converges, not how well real galaxies are told apart.
"""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.trainers.data.streamed import num_examples
from largebatch.trainers.datasets.galaxies.augment import augment
from largebatch.trainers.datasets.galaxies.galaxy_files import GalaxyFiles
from largebatch.trainers.datasets.galaxies.galaxy_source import GalaxySource
from largebatch.trainers.datasets.galaxies.labelled_paths import labelled_paths
from largebatch.trainers.stages import EVERYTHING, Stage
from largebatch.trainers.task import Metric, Task

NUM_TRAIN, NUM_VALIDATION = 36_620, 963
"""Cut-outs of the reference."""
VALIDATION_EVERY = 20
"""Of real images, one in so many is for validation."""
_REST_OF_BLOCK_4 = ("block4.rep.4.", "block4.rep.5.", "block4.rep.7.", "block4.rep.8.")
_AFTER_BLOCK_4 = (*(f"block{number}." for number in range(5, 13)), "conv3.", "bn3.", "conv4.", "bn4.", "head.")
STAGES: tuple[tuple[str, ...], ...] = (
    ("head.",),
    (*_REST_OF_BLOCK_4, *_AFTER_BLOCK_4),
    ("bn1.", "conv2.", "bn2.", "block1.", "block2.", "block3.", "block4.", *_AFTER_BLOCK_4),
)
"""How the names of the parameters begin that each stage of the reference's fine-tuning trains: the head; all from
Keras's ``block5_sepconv2`` on; all but ``block1_conv1``. Keras counts the two first convolutions as a block."""


def galaxies_small(survey: str = "sdss") -> Task:
    """Images of 32 pixels, a narrow Xception with one middle block; synthetic validation accuracy 0.95."""

    def model() -> nn.Module:
        from largebatch.trainers.models.xception import Xception

        return Xception(width=4, num_middle_blocks=1, head_width=64)

    return Task(
        model=model,
        train_data=GalaxySource(survey=survey, size=32, num_examples=8_192, seed=0),
        validation_data=GalaxySource(survey=survey, size=32, num_examples=1_024, seed=1),
        loss=cross_entropy,
        metrics={"val_accuracy": Metric(mean=_accuracy, low=0.0, high=1.0)},
        target=Target(metric="val_accuracy", above=0.95),
        max_examples=200_000,
        evaluation_examples=2_048,
    )


def galaxies(
    *, survey: str = "sdss", data: str | None = None, pretrained: str | None = None, head_epochs: float = 0.0,
    late_epochs: float = 0.0,
) -> Task:  # fmt: skip
    """Images of 224 pixels and Xception; validation accuracy 0.99.

    The reference's fine-tuning has three stages: ``head_epochs`` 1, ``late_epochs`` 20, and all but the first
    convolution to the end. By default everything is trained from the start.

    Args:
        survey: Whose cut-outs the drawn galaxies resemble, ``sdss`` or ``des``.
        data: Real images instead of drawn ones: a folder or a table (``labelled_paths``).
        pretrained: A file of weights to start from, of Xception or of its body.
        head_epochs: How long the head alone is trained.
        late_epochs: How long the later blocks are trained after that, the earlier ones frozen.
    """

    def model() -> nn.Module:
        from largebatch.trainers.models.pretrained import load_pretrained
        from largebatch.trainers.models.xception import Xception

        network = Xception()
        if pretrained is not None:
            load_pretrained(network, Path(pretrained))
        return network

    train_data, validation_data = _drawn(survey) if data is None else _real(Path(data))
    return Task(
        model=model,
        train_data=train_data,
        validation_data=validation_data,
        loss=cross_entropy,
        metrics={"val_accuracy": Metric(mean=_accuracy, low=0.0, high=1.0)},
        target=Target(metric="val_accuracy", above=0.99),
        max_examples=41 * NUM_TRAIN,
        evaluation_examples=NUM_TRAIN // 2,
        micro_batch_size=64,
        augment=augment,
        stages=fine_tuning(num_examples(train_data), head_epochs, late_epochs),
    )


def fine_tuning(num_train: int, head_epochs: float, late_epochs: float) -> tuple[Stage, ...]:
    """The stages that take any time, and the last one; all is trained where there are no others."""
    lengths = [round(epochs * num_train) for epochs in (head_epochs, late_epochs)]
    if not any(lengths):
        return EVERYTHING
    early = [Stage(trainable=STAGES[index], examples=length) for index, length in enumerate(lengths) if length]
    return (*early, Stage(trainable=STAGES[-1], examples=None))


def _drawn(survey: str) -> tuple[Dataset[Any], Dataset[Any]]:
    train, validation = (
        GalaxySource(survey=survey, size=224, num_examples=count, seed=seed)
        for seed, count in enumerate((NUM_TRAIN, NUM_VALIDATION))
    )
    return train, validation


def _real(source: Path) -> tuple[Dataset[Any], Dataset[Any]]:
    files = labelled_paths(source)
    train = [file for index, file in enumerate(files) if index % VALIDATION_EVERY != VALIDATION_EVERY - 1]
    validation = files[VALIDATION_EVERY - 1 :: VALIDATION_EVERY]
    if not validation:
        raise UserError(f"data: {source} holds {len(files)} galaxies; give at least {VALIDATION_EVERY}")
    return GalaxyFiles(train, 224), GalaxyFiles(validation, 224)


def _accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    return (logits.argmax(dim=1) == targets).float().mean()
