"""The rules across batch sizes: what they keep, where they meet, where they end."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.rule import (
    RULES,
    adam_sde,
    adamw_timescale,
    half_life,
    legw,
    linear,
    saturating,
    square_root,
)

KAPPA = st.integers(1, 64)


def recipe(**fields: object) -> Recipe:
    return Recipe.model_validate({"global_batch_size": 32, "learning_rate": 0.1, **fields})


@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_learning_rate_rules_compose(one: float, other: float) -> None:
    for rule in RULES.values():
        assert rule(one) * rule(other) == pytest.approx(rule(one * other))
        assert rule(1.0) == 1.0


@given(st.floats(1, 1000), st.floats(0, 1e6))
def test_the_saturating_rule_lies_between_constant_and_linear(kappa: float, noise: float) -> None:
    assert 1 - 1e-9 <= saturating(kappa, noise) <= min(kappa, 1 + noise) + 1e-6


def test_the_saturating_rule_at_its_ends() -> None:
    assert saturating(8, 1e12) == pytest.approx(linear(8))
    assert saturating(1e12, 3) == pytest.approx(4)


@given(st.floats(0.01, 0.999), KAPPA)
def test_the_half_life_in_examples_stays(decay: float, kappa: int) -> None:
    steps = math.log(0.5) / math.log(decay)
    assert half_life(decay, kappa) ** (steps / kappa) == pytest.approx(0.5)


@given(KAPPA)
def test_legw_keeps_the_steps_of_the_warm_up(kappa: int) -> None:
    scaled = legw(recipe(warmup_epochs=0.5), kappa)
    assert scaled.learning_rate == pytest.approx(0.1 * square_root(kappa))
    assert scaled.warmup_epochs is not None
    assert scaled.warmup_epochs / scaled.global_batch_size == pytest.approx(0.5 / 32)
    assert legw(recipe(warmup_steps=7), kappa).warmup_steps == 7
    assert legw(recipe(warmup_fraction=0.05), kappa).warmup_fraction == pytest.approx(min(1.0, 0.05 * kappa))


def test_the_sde_of_adam() -> None:
    """Malladi et al. (2022), definition 5.2, by hand at kappa = 4."""
    scaled = adam_sde(recipe(optimizer="adam", beta1=0.9, beta2=0.99, epsilon=1e-8), 4)
    assert (scaled.global_batch_size, scaled.learning_rate) == (128, pytest.approx(0.2))
    assert (scaled.beta1, scaled.beta2, scaled.epsilon) == pytest.approx((0.6, 0.96, 5e-9))
    with pytest.raises(ValueError, match=r"kappa \(1 - beta1\) <= 1 must hold; got kappa=11, beta1=0.9"):
        adam_sde(recipe(optimizer="adam"), 11)


@given(KAPPA, st.floats(0.01, 1))
def test_the_timescale_of_adamw_stays(kappa: int, rate: float) -> None:
    before = recipe(optimizer="adamw", weight_decay=0.1)
    after = adamw_timescale(before, kappa, rate)

    def epochs(one: Recipe) -> float:
        return one.global_batch_size / (one.learning_rate * one.weight_decay)

    assert epochs(after) == pytest.approx(epochs(before))
