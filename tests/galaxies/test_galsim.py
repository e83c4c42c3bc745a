"""The generator against GalSim, Rowe et al. (2015), arXiv 1407.7676: profiles behind a PSF, and noise."""

import math

import pytest
import torch
from torch import Tensor

from largebatch.trainers.data.example_random import ExampleRandom, example_keys
from largebatch.trainers.datasets.galaxies.camera import MOFFAT_BETA, add_noise, blur
from largebatch.trainers.datasets.galaxies.draws import Draws
from largebatch.trainers.datasets.galaxies.profiles import Pose, spheroid

galsim = pytest.importorskip("galsim")

SIZE, PIXEL, SEEING = 160, 0.396, 1.32
TURN, AXIS_RATIO, RADIUS, X0, Y0 = 0.6, 0.7, 3.0, 0.5, -0.83


def ours(index: float) -> Tensor:
    def value(number: float) -> Tensor:
        return torch.full((1, 1, 1), number, dtype=torch.float64)

    pose = Pose(x0=value(X0), y0=value(Y0), turn=value(TURN), pixel=PIXEL, size=SIZE)
    image = spheroid(pose, index=value(index), radius=value(RADIUS), axis_ratio=value(AXIS_RATIO))
    return blur(image[:, None], value(SEEING / PIXEL))[0, 0]


def theirs(index: float) -> Tensor:
    galaxy = galsim.Sersic(index, half_light_radius=RADIUS * math.sqrt(AXIS_RATIO))
    galaxy = galaxy.shear(q=AXIS_RATIO, beta=TURN * galsim.radians).shift(X0, Y0)
    seen = galsim.Convolve(galaxy, galsim.Moffat(beta=MOFFAT_BETA, fwhm=SEEING))
    return torch.from_numpy(seen.drawImage(nx=SIZE, ny=SIZE, scale=PIXEL, dtype=float).array)


def radial_profile(image: Tensor) -> Tensor:
    """Mean brightness of rings one arcsecond wide out to four effective radii, for a flux of 1 within them."""
    places = (torch.arange(SIZE) - (SIZE - 1) / 2) * PIXEL
    distance = torch.hypot(places[None, :] - X0, places[:, None] - Y0)
    rings = torch.stack([image[(distance >= inner) & (distance < inner + 1)].mean() for inner in range(12)])
    return rings / image[distance < 12].sum()


@pytest.mark.parametrize("index", [1.0, 4.0])
def test_a_sersic_profile_behind_a_moffat_function(index: float) -> None:
    """Within 1 % at every radius."""
    ratio = radial_profile(ours(index)) / radial_profile(theirs(index))
    assert (ratio - 1).abs().max() < 0.01, ratio


def autocorrelations(noise: Tensor) -> Tensor:
    """With the next pixel across, below, and on both diagonals."""
    pairs = ((noise[:, 1:], noise[:, :-1]), (noise[1:], noise[:-1]),
             (noise[1:, 1:], noise[:-1, :-1]), (noise[1:, :-1], noise[:-1, 1:]))  # fmt: skip
    return torch.stack([(left * right).mean() for left, right in pairs]) / noise.var()


def test_noise_has_the_same_statistics() -> None:
    """Standard deviation, white spectrum and fourth moment, each within four standard errors."""
    sigma, brightness, shot_noise = 0.03, 0.2, 0.004
    draws = Draws(ExampleRandom(example_keys(0, torch.arange(1))), torch.float64)
    flat = torch.full((1, 1, 300, 300), brightness, dtype=torch.float64)
    mine = (add_noise(flat, torch.tensor(sigma), shot_noise, draws) - flat)[0, 0]
    image = galsim.ImageD(300, 300)
    image.addNoise(galsim.GaussianNoise(galsim.BaseDeviate(1), sigma=math.sqrt(sigma**2 + shot_noise * brightness)))
    reference, count = torch.from_numpy(image.array.copy()), mine.numel()
    assert (mine.std() / reference.std()).item() == pytest.approx(1, abs=4 / math.sqrt(count))
    for noise in (mine, reference):
        assert abs(noise.mean().item()) < 4 * noise.std().item() / math.sqrt(count)
        assert autocorrelations(noise).abs().max() < 4 / math.sqrt(count)
        assert (noise**4).mean().item() / noise.var().item() ** 2 == pytest.approx(3, abs=4 * math.sqrt(96 / count))
