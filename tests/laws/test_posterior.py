"""The sampler draws what it should: known posteriors, far and narrow ones too."""

import numpy as np
import pytest

from largebatch.search.laws.smc import draw_posterior


@pytest.mark.parametrize("place", [0.0, 3.0, 6.0])
@pytest.mark.parametrize("width", [1.0, 0.05])
def test_a_normal_posterior_is_drawn(place: float, width: float) -> None:
    """Prior N(0, 1), likelihood N(place, width): mean place / (1 + width^2), variance width^2 / (1 + width^2)."""
    draws = draw_posterior(
        lambda z: -0.5 * ((z[:, 0] - place) / width) ** 2, 3, np.random.default_rng(0), num_draws=2000
    )
    sd = width / np.sqrt(1 + width**2)
    assert draws[:, 0].mean() == pytest.approx(place / (1 + width**2), abs=0.15 * sd)
    assert draws[:, 0].std() == pytest.approx(sd, rel=0.1)
    assert np.abs(draws[:, 1:].mean(axis=0)).max() < 0.15, "what the likelihood does not know keeps its prior"
    assert draws[:, 1:].std(axis=0) == pytest.approx(1.0, rel=0.1)


def test_two_modes_are_both_drawn() -> None:
    draws = draw_posterior(
        lambda z: np.logaddexp(-50 * (z[:, 0] - 1) ** 2, -50 * (z[:, 0] + 1) ** 2), 1, np.random.default_rng(0),
        num_draws=2000,
    )  # fmt: skip
    assert (draws > 0).mean() == pytest.approx(0.5, abs=0.1)


def test_the_same_seed_gives_the_same_draws() -> None:
    first, second = (draw_posterior(lambda z: -(z[:, 0] ** 2), 2, np.random.default_rng(7)) for _ in range(2))
    assert (first == second).all()
