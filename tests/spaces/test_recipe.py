"""The arithmetic of batches, groups and workers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from largebatch.spaces.recipe import Recipe

SIZES = st.integers(1, 64)


@settings(deadline=None)
@given(group=SIZES, groups_a_worker=SIZES, num_workers=SIZES)
def test_any_number_of_workers_that_divides_the_groups_keeps_them(
    group: int, groups_a_worker: int, num_workers: int
) -> None:
    size = group * groups_a_worker * num_workers
    alone, dealt = (
        Recipe(global_batch_size=size, learning_rate=1, norm_batch_size=group, num_workers=count)
        for count in (1, num_workers)
    )
    assert alone.group_size == dealt.group_size == group
    assert alone.num_groups == dealt.num_groups == groups_a_worker * num_workers
    assert dealt.local_batch_size == group * groups_a_worker


@settings(deadline=None)
@given(local=SIZES, num_workers=SIZES, more=SIZES)
def test_a_small_local_batch_is_one_group(local: int, num_workers: int, more: int) -> None:
    recipe = Recipe(
        global_batch_size=local * num_workers, learning_rate=1, norm_batch_size=local + more, num_workers=num_workers
    )
    assert (recipe.group_size, recipe.num_groups) == (local, num_workers)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"num_workers": 3}, "global_batch_size must be a multiple of num_workers; got 64 and 3"),
        ({"norm_batch_size": 48}, r"the local batch \(64 / 1 = 64\) must be at most norm_batch_size \(48\)"),
        (
            {"warmup_steps": 3, "warmup_fraction": 0.1},
            "at most one of .* may be given; got 3 and 0.1 for `warmup_steps` and `warmup_fraction`",
        ),
        ({"learning_rate": float("inf")}, "finite"),
        ({"momentum": 1}, "less than 1"),
    ],
)
def test_recipes_that_are_refused(fields: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        Recipe.model_validate({"global_batch_size": 64, "learning_rate": 0.1, **fields})


def test_the_effective_learning_rate_counts_momentum() -> None:
    assert Recipe(global_batch_size=1, learning_rate=0.1, momentum=0.9).effective_learning_rate == pytest.approx(1.0)
    assert Recipe(global_batch_size=1, learning_rate=0.1, optimizer="adamw").effective_learning_rate == 0.1
