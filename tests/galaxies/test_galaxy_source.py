"""Drawn galaxies: each a function of its index, of two classes that colour and flux do not tell apart."""

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.galaxies.galaxy_source import GalaxySource
from largebatch.trainers.datasets.galaxies.survey import SURVEYS


def source(**changes: object) -> GalaxySource:
    return GalaxySource(**{"survey": "sdss", "size": 32, "num_examples": 5_000, "seed": 0, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("survey", SURVEYS)
def test_an_image_depends_on_its_index_alone(survey: str) -> None:
    data = source(survey=survey, dtype=torch.float64)
    indices = torch.tensor([4_000, 3, 17, 3])
    images, labels = data.batch(indices)
    assert images.shape == (4, 3, 32, 32)
    assert labels.dtype == torch.int64
    for place, index in enumerate(indices.tolist()):
        image, label = data[index]
        assert (image - images[place]).abs().max() < 1e-12
        assert label == labels[place]
    assert (images[1] - images[2]).abs().max() > 0.1
    assert (source(survey=survey, seed=1)[3][0] - images[1]).abs().max() > 0.1


@pytest.mark.parametrize("size", [32, 45, 64])
def test_images_of_any_size_show_the_same_sky(size: int) -> None:
    """The same brightness on the whole, whatever the number of pixels; noise apart."""
    images, labels = source(size=size).batch(torch.arange(32))
    small, same_labels = source().batch(torch.arange(32))
    assert torch.equal(labels, same_labels)
    assert images.min() >= 0
    assert images.max() <= 1
    correlation = torch.corrcoef(torch.stack([images.mean((1, 2, 3)), small.mean((1, 2, 3))]))[0, 1]
    assert correlation > 0.98


def features(data: GalaxySource, count: int = 3_000) -> tuple[Tensor, Tensor]:
    """Mean of each band, total, and their logarithms and colours: ``(count, 10)``; labels."""
    parts = [data.batch(torch.arange(first, first + 250)) for first in range(0, count, 250)]
    means = torch.cat([images.mean((2, 3)) for images, _ in parts]).double()
    labels = torch.cat([labels for _, labels in parts])
    logs, total = means.log(), means.sum(1, keepdim=True)
    table = torch.cat([means, total, logs, total.log(), logs[:, :2] - logs[:, 1:]], 1)
    return (table - table.mean(0)) / table.std(0), labels


@pytest.mark.parametrize("survey", SURVEYS)
def test_neither_colour_nor_flux_tells_the_class(survey: str) -> None:
    table, labels = features(source(survey=survey))
    assert labels.double().mean().item() == pytest.approx(0.5, abs=0.04)
    half = len(labels) // 2
    model = LogisticRegression(max_iter=2_000).fit(table[:half].numpy(), labels[:half].numpy())
    assert model.score(table[half:].numpy(), labels[half:].numpy()) < 0.6


def test_an_unknown_survey_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown survey 'sds'.*sdss"):
        source(survey="sds")
