"""Random views: each image its own, the same in every split."""

import math

import pytest
import torch

from largebatch.trainers.data.example_random import ExampleRandom, example_keys
from largebatch.trainers.datasets.galaxies import augment as module
from largebatch.trainers.datasets.galaxies.augment import augment


class Drawn(ExampleRandom):
    """Gives numbers that are set."""

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = torch.tensor(numbers)

    def uniform(self, *shape: int) -> torch.Tensor:
        return self.numbers.view(1, *shape)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_view_depends_on_the_key_alone(dtype: torch.dtype) -> None:
    images, keys = torch.rand(13, 3, 24, 20, dtype=dtype), example_keys(3, torch.arange(13))
    whole = augment(images, ExampleRandom(keys))
    assert whole.dtype == dtype
    for size in (1, 5):
        pieces = zip(images.split(size), keys.split(size), strict=True)
        assert torch.equal(torch.cat([augment(piece, ExampleRandom(part)) for piece, part in pieces]), whole)
    assert (whole[0] - images[0]).abs().max() > 0.1


def test_half_way_draws_change_nothing_and_flips_flip() -> None:
    image = torch.rand(1, 3, 9, 9)
    still = (0.5, 0.5, 0.5)
    assert torch.allclose(augment(image, Drawn(*still, 0.7, 0.7, 0.5, 0.5)), image, atol=1e-5)
    assert torch.allclose(augment(image, Drawn(*still, 0.2, 0.7, 0.5, 0.5)), image.flip(-1), atol=1e-5)
    assert torch.allclose(augment(image, Drawn(*still, 0.7, 0.2, 0.5, 0.5)), image.flip(-2), atol=1e-5)


def test_turns_shifts_and_zooms_go_as_far_as_they_say() -> None:
    """A dot ten pixels right of the centre of 81 moves where it should."""
    image = torch.zeros(1, 1, 81, 81)
    image[0, 0, 40, 50] = 1.0

    def moved(*numbers: float) -> tuple[float, float]:
        view = augment(image, Drawn(*numbers))[0, 0]
        places = torch.arange(81.0) - 40
        return tuple((view.sum(axis) @ places / view.sum()).item() for axis in (0, 1))  # type: ignore[return-value]

    turn = math.radians(module.TURN_DEGREES)
    middle = (0.5, 0.5, 0.9, 0.9, 0.5, 0.5)
    assert moved(1.0, *middle) == pytest.approx((10 * math.cos(turn), -10 * math.sin(turn)), abs=0.2)
    assert moved(0.5, 1.0, 0.5, 0.9, 0.9, 0.5, 0.5) == pytest.approx((10 / (1 + module.ZOOM), 0), abs=0.2)
    assert moved(0.5, 0.5, 0.5, 0.9, 0.9, 0.0, 0.5) == pytest.approx((10 + 81 * module.SHIFT, 0), abs=0.2)
