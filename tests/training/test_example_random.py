"""Random numbers that belong to examples: uniform, independent, the same wherever an example falls."""

import numpy as np
import pytest
import torch
from scipy.stats import chi2, kstest
from torch import nn

from largebatch.trainers.data.example_random import ExampleRandom, example_keys
from largebatch.trainers.layers.example_dropout import tie_dropout


def draws(seed: int, num_examples: int = 200, count: int = 500) -> tuple[torch.Tensor, torch.Tensor]:
    random = ExampleRandom(example_keys(seed, torch.arange(num_examples)))
    return random.uniform(count), random.uniform(count)


def test_uniform_over_seeds() -> None:
    """Chi-squared statistics of 60 seeds in 100 bins follow their own law."""
    statistics = []
    for seed in range(60):
        one, _ = draws(seed)
        counts = torch.histc(one, 100, 0, 1)
        statistics.append(((counts - 1000) ** 2 / 1000).sum().item())
    assert kstest(statistics, chi2(99).cdf).pvalue > 0.01
    one, _ = draws(0)
    assert one.min() >= 0
    assert one.max() < 1


def test_uncorrelated_between_numbers_examples_draws_and_seeds() -> None:
    one, two = draws(0)
    other, _ = draws(1)
    pairs = {
        "numbers": (one[:, :-1], one[:, 1:]),
        "examples": (one[:-1], one[1:]),
        "draws": (one, two),
        "seeds": (one, other),
    }
    for name, (left, right) in pairs.items():
        correlation = np.corrcoef(left.flatten(), right.flatten())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(left.numel()), name


def test_an_example_has_its_numbers_in_any_batch() -> None:
    positions = torch.tensor([7, 3, 1_000_000_007])
    together = ExampleRandom(example_keys(5, positions)).uniform(4, 3)
    for index, position in enumerate(positions):
        assert torch.equal(ExampleRandom(example_keys(5, position[None])).uniform(4, 3)[0], together[index])


@pytest.mark.parametrize(("layer", "dropped"), [(nn.Dropout(0.4), "units"), (nn.Dropout2d(0.4), "channels")])
def test_dropout_drops_its_share_and_keeps_the_mean(layer: nn.Module, dropped: str) -> None:
    model, random = nn.Sequential(layer), ExampleRandom()
    assert tie_dropout(model, random)
    random.begin(example_keys(0, torch.arange(64)))
    x = torch.ones(64, 32, 8, 8)
    y = model(x)
    kept = y != 0
    assert kept.float().mean().item() == pytest.approx(0.6, abs=0.05)
    assert y[kept].unique().item() == pytest.approx(1 / 0.6)
    by_channel = kept.float().mean((2, 3))
    assert bool(((by_channel == 0) | (by_channel == 1)).all()) == (dropped == "channels")
    assert torch.equal(model.eval()(x), x)
    assert not tie_dropout(nn.Sequential(nn.Linear(1, 1)), random)
