"""Spaces: only buildable recipes, conditions, doubles on a grid, and who can be dealt what."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from largebatch.spaces.domain import Choice
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space

BATCH = {"low": 16, "high": 128, "scale": "log2"}
RATE = {"low": 1e-3, "high": 1.0, "scale": "log"}


def space(**domains: Any) -> Space:
    return Space.model_validate({"global_batch_size": BATCH, "learning_rate": RATE, **domains})


CONDITIONAL = space(
    optimizer={"choices": ["sgd", "adamw"]},
    momentum={"low": 0.5, "high": 0.9, "when": {"optimizer": ["sgd"]}},
    warmup_steps={"low": 0, "high": 9, "when": {"global_batch_size": [64, 128]}},
    norm_batch_size={"choices": [8, 16]},
)


def problems(**domains: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        space(**domains)
    return [str(one["ctx"]["error"]) for one in caught.value.errors()]


@settings(deadline=None)
@given(st.fixed_dictionaries({name: st.floats(0, 1) for name in CONDITIONAL.root}))
def test_every_point_of_the_unit_cube_is_a_recipe_of_the_space(units: dict[str, float]) -> None:
    recipe = CONDITIONAL.from_unit(units)
    assert CONDITIONAL.contains(recipe)
    assert isinstance(recipe.warmup_steps, int) == (recipe.global_batch_size >= 64)
    if recipe.optimizer == "adamw":
        assert recipe.momentum == Recipe.model_fields["momentum"].default


def test_what_exists_under_which_values() -> None:
    always = ["global_batch_size", "learning_rate", "optimizer", "norm_batch_size"]
    assert CONDITIONAL.active({"optimizer": "adamw", "global_batch_size": 16}) == always
    both = CONDITIONAL.active({"optimizer": "sgd", "global_batch_size": 64})
    assert set(both) == set(CONDITIONAL.root)


def test_a_grid_has_no_doubles() -> None:
    grid = list(CONDITIONAL.grid(3))
    assert len(grid) == len(set(grid))
    # 4 batch sizes of which 2 have 3 warm-ups, 3 rates, 2 norms; sgd has 3 momenta and adamw none
    assert len(grid) == (2 * 3 + 2) * 3 * 2 * (3 + 1)
    assert all(CONDITIONAL.contains(recipe) for recipe in grid)


def test_a_recipe_outside_is_not_contained() -> None:
    inside = Recipe(global_batch_size=64, learning_rate=0.1)
    assert space().contains(inside)
    assert not space().contains(inside.model_copy(update={"global_batch_size": 96}))
    assert not space().contains(inside.model_copy(update={"learning_rate": 2.0}))


def test_values_have_the_types_of_the_recipe() -> None:
    typed = space(momentum="9e-1", seed={"choices": [1.0, "2", 2]}, weight_decay=0)
    assert typed.root["momentum"] == Choice(choices=(0.9,))
    assert typed.root["seed"].values() == (1, 2)
    assert [type(value) for one in ("seed", "weight_decay") for value in typed.root[one].grid(1)] == [int, int, float]
    assert set(typed.varying) == {"global_batch_size", "learning_rate", "seed"}


def test_batches_pair_sizes_with_their_groups() -> None:
    assert space().batches == ((16, 32), (32, 32), (64, 32), (128, 32))
    some = space(norm_batch_size={"choices": [16], "when": {"global_batch_size": [128]}})
    assert some.batches == ((16, 32), (32, 32), (64, 32), (128, 16))


def test_each_worker_has_a_whole_group() -> None:
    assert space().most_workers == 16 * 128 // 32
    assert space(norm_batch_size=8).most_workers == 16 * 128 // 8


@pytest.mark.parametrize(
    ("domains", "expected"),
    [
        (
            {"global_batch_size": 48},
            "a batch size above norm_batch_size must be a multiple of it; got 48 with 32; drop 48, or choose "
            "another norm_batch_size",
        ),
        (
            {"norm_batch_size": {"choices": [48], "when": {"global_batch_size": [128]}}},
            "a batch size above norm_batch_size must be a multiple of it; got 128 with 48; drop 128, or choose "
            "another norm_batch_size",
        ),
        (
            {"norm_batch_size": {"low": 16, "high": 32}},
            "must take finitely many values; use scale: log2, or choices: [32, 64, ..]",
        ),
        (
            {"seed": {"choices": [1, 2], "when": {"learning_rate": [0.1]}}},
            "`when` must name a choice, and learning_rate is a range; give it choices: [..]",
        ),
        (
            {"learning_rate": {**RATE, "when": {"global_batch_size": [16]}}},
            "every recipe has a learning_rate; drop the `when`",
        ),
        (
            {
                "optimizer": {"choices": ["sgd"], "when": {"global_batch_size": [16]}},
                "momentum": {"choices": [0.5], "when": {"optimizer": ["sgd"]}},
            },
            "conditions do not nest, and optimizer has a `when` itself; drop one of the two",
        ),
    ],
)
def test_spaces_that_are_refused(domains: dict[str, Any], expected: str) -> None:
    assert problems(**domains) == [expected]


def test_two_ways_to_warm_up_never_meet() -> None:
    apart = {
        "optimizer": {"choices": ["sgd", "adamw"]},
        "warmup_steps": {"choices": [9], "when": {"optimizer": ["sgd"]}},
    }
    space(**apart, warmup_fraction={"choices": [0.1], "when": {"optimizer": ["adamw"]}})
    assert problems(**apart, warmup_fraction=0.1) == [
        "a recipe can have warmup_steps or warmup_fraction, not both; drop one"
    ]


def test_every_domain_tells_its_own_mistake() -> None:
    found = problems(momentun=0.9, optimizer="larss", weight_decay={"low": 1, "high": 0}, num_workers=2)
    assert found == [
        "unknown hyper-parameter 'momentun'; did you mean 'momentum'?",
        "unknown optimizer 'larss'; did you mean 'lars'?",
        "`low < high` must hold; got low=1, high=0; for one value write the value itself",
        "num_workers is not searched; the study's `workers` lists the worker counts",
    ]
