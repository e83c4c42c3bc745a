"""Drawn galaxies as a data set: an image is a function of seed and index alone."""

import torch
from torch import Tensor

from largebatch.trainers.data.batch_source import BatchSource
from largebatch.trainers.data.example_random import ExampleRandom, example_keys
from largebatch.trainers.datasets.galaxies.camera import SHOT_NOISE, add_noise, blur, stretch
from largebatch.trainers.datasets.galaxies.draws import Draws
from largebatch.trainers.datasets.galaxies.scene import scene
from largebatch.trainers.datasets.galaxies.survey import CUT_OUT_PIXELS, survey_of

SCALING_SMEAR_PIXELS = 1.8
"""Scaling a cut-out smears it by about this width; with less, small images would ring round bright bulges."""


class GalaxySource(BatchSource):
    """Ellipticals (0) and spirals (1), equally frequent, as a survey would see them.

    Args:
        survey: ``sdss`` or ``des``.
        size: Pixels a side; the cut-out shows the same piece of sky in any size.
        num_examples: How many.
        seed: Of all of them.
        dtype: Of the images.
    """

    def __init__(
        self, *, survey: str, size: int, num_examples: int, seed: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self._survey = survey_of(survey)
        self._size, self._num_examples, self._seed, self._dtype = size, num_examples, seed, dtype

    def __len__(self) -> int:
        """Number of examples."""
        return self._num_examples

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``(batch, 3, size, size)`` of [0, 1] and labels, int64 ``(batch,)``."""
        draws = Draws(ExampleRandom(example_keys(self._seed, indices)), self._dtype)
        spiral = draws.between(0, 1, 1)[:, 0] < 0.5
        survey, zoom = self._survey, self._size / CUT_OUT_PIXELS
        images = scene(spiral, draws, survey.field_arcsec, self._size)
        seeing = draws.between(0.85, 1.2) * survey.seeing_arcsec / survey.pixel_arcsec * zoom
        images = blur(images, torch.sqrt(seeing**2 + SCALING_SMEAR_PIXELS**2))
        sky_noise = draws.between(0.7, 1.4, 1, 1, 1) * survey.sky_noise * zoom
        return stretch(add_noise(images, sky_noise, SHOT_NOISE * zoom**2, draws)), spiral.long()
