"""Exact factors a step, plateaus, AdaScale's gain, batches that grow."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.rule import saturating
from largebatch.trainers.gradients.noise_scale import NoiseEstimate
from largebatch.trainers.schedules.adascale import gain, grown_batch_size
from largebatch.trainers.schedules.learning_rate import LearningRate, Plateau, make_learning_rate


def schedule(max_examples: int = 100, num_train_examples: int = 50, **fields: Any) -> LearningRate:
    recipe = Recipe.model_validate({"global_batch_size": 10, "learning_rate": 1.0, **fields})
    return make_learning_rate(recipe, max_examples=max_examples, num_train_examples=num_train_examples)


FACTORS: list[tuple[dict[str, Any], list[float]]] = [
    ({"warmup_steps": 4}, [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ({"warmup_epochs": 0.4}, [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),  # 20 examples, 2 steps
    ({"warmup_fraction": 0.2}, [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ({"warmup_steps": 2, "warmup_factor": 0.5}, [0.75, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ({"warmup_steps": 2, "warmup_shape": "constant", "warmup_factor": 0.1}, [0.1, 0.1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ({"schedule": "linear"}, [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0, 0]),
    ({"schedule": "polynomial"}, [1, 0.81, 0.64, 0.49, 0.36, 0.25, 0.16, 0.09, 0.04, 0.01, 0, 0]),
    ({"schedule": "polynomial", "polynomial_power": 1, "warmup_steps": 5},
     [0.2, 0.4, 0.6, 0.8, 1, 1, 0.8, 0.6, 0.4, 0.2, 0, 0]),
    ({"schedule": "cosine", "warmup_steps": 2},
     [0.5, 1, 1, *[0.5 * (1 + math.cos(math.pi * k / 8)) for k in range(1, 8)], 0, 0]),
    ({"schedule": "step", "step_fraction": 0.4}, [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01]),
    ({"schedule": "wsd", "decay_fraction": 0.4}, [1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0]),
    ({"schedule": "linear", "horizon_examples": 50}, [1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0, 0, 0, 0]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "factors"), FACTORS)
def test_exact_factors(fields: dict[str, Any], factors: list[float]) -> None:
    found = schedule(**fields)
    assert [found.factor(step) for step in range(12)] == pytest.approx(factors, abs=1e-12)


@pytest.mark.parametrize(("examples", "steps"), [(10, 1), (40, 1), (50, 1), (100, 1), (110, 2), (300, 3), (700, 7)])
def test_a_part_of_a_warm_up_step_is_a_step(examples: int, steps: int) -> None:
    """A tenth of 1, 4, 5, 10, 11, 30 and 70 steps; none for a share of 0. 0.1 * 30 is a little above 3."""
    assert schedule(max_examples=examples, warmup_fraction=0.1).warmup_steps == steps
    assert schedule(max_examples=1_000, num_train_examples=examples, warmup_epochs=0.1).warmup_steps == steps
    assert schedule(max_examples=examples, warmup_fraction=0.0).warmup_steps == 0
    constant = schedule(max_examples=examples, warmup_fraction=0.1, warmup_shape="constant", warmup_factor=0.2)
    assert [constant.factor(step) for step in range(steps + 1)] == [0.2] * steps + [1.0]


@given(
    st.sampled_from(["linear", "cosine", "polynomial", "step", "wsd"]),
    st.integers(0, 8),
    st.floats(0, 20),
    st.floats(0, 20),
)
def test_after_its_warm_up_a_rate_never_rises(name: str, warmup: int, one: float, other: float) -> None:
    found = schedule(schedule=name, warmup_steps=warmup)
    early, late = sorted((warmup + one, warmup + other))
    assert 0 <= found.factor(late) <= found.factor(early) <= 1


def test_plateaus_halve_the_rate() -> None:
    plateau = Plateau(2)
    halvings = []
    for loss in [3.0, 2.0, 2.0, 2.5, 1.0, 1.5, 1.2, 1.1, 1.05, math.nan]:
        plateau.update(loss)
        halvings.append(plateau.halvings)
    assert halvings == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]
    plateau.update(-math.inf)  # no better than any
    plateau.update(1.0 - 1e-9)
    assert (plateau.best, plateau.halvings) == (1.0 - 1e-9, 4)
    assert schedule(schedule="plateau").factor(5, halvings=2) == 0.25


def noise(square: float, trace: float, low: float = 0.0) -> NoiseEstimate:
    return NoiseEstimate(value=trace / square, low=low, high=math.inf, gradient_square=square, gradient_trace=trace)


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.integers(1, 64), st.integers(1, 64))
def test_the_gain_is_the_saturating_rule(square: float, trace: float, base: int, times: int) -> None:
    """laws.md, section 3: both are the same curve."""
    found = gain(noise(square, trace), base_batch_size=base, batch_size=times * base)
    assert found == pytest.approx(saturating(times, trace / square / base))
    assert 1 - 1e-9 <= found <= times + 1e-9


def test_the_gain_of_noise_and_of_none() -> None:
    assert gain(noise(1e-12, 1.0), base_batch_size=8, batch_size=64) == pytest.approx(8)
    assert gain(noise(1.0, 1e-12), base_batch_size=8, batch_size=64) == pytest.approx(1)
    assert gain(noise(-1.0, 1.0), base_batch_size=8, batch_size=64) == pytest.approx(8)
    assert gain(None, base_batch_size=8, batch_size=64) == 1


def test_a_batch_grows_only_when_the_noise_scale_surely_allows_it() -> None:
    assert grown_batch_size(None, batch_size=16, limit=64) == 16
    assert grown_batch_size(noise(1, 100, low=31), batch_size=16, limit=64) == 16
    assert grown_batch_size(noise(1, 100, low=32), batch_size=16, limit=64) == 32
    assert grown_batch_size(noise(1, 100, low=99), batch_size=48, limit=64) == 64
    assert grown_batch_size(noise(1, 100, low=99), batch_size=64, limit=64) == 64
