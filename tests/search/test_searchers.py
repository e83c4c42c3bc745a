"""Every searcher keeps the protocol: pure, inside the space, all batch sizes, conditions respected."""

import math

import numpy as np
import pytest

from largebatch.search.grid import Grid
from largebatch.search.halton import Halton
from largebatch.search.searcher import Searcher
from largebatch.search.tpe import OptunaTPE
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Outcome, Trial

TARGET = Target(metric="val_loss", below=0.1)
SEARCHERS: dict[str, Searcher] = {
    "grid": Grid(points_per_range=4),
    "halton": Halton(),
    "optuna-tpe": OptunaTPE(TARGET, "square-root"),
    "optuna-tpe-linear": OptunaTPE(TARGET, "linear"),
}
SIZES = {"global_batch_size": {"low": 16, "high": 128, "scale": "log2"}}
RATE = {"learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
SPACES = {
    "flat": Space.model_validate({**SIZES, **RATE}),
    "fixed rate": Space.model_validate({**SIZES, "learning_rate": 0.1, "momentum": {"low": 0.5, "high": 0.9}}),
    "conditional": Space.model_validate(
        {
            **SIZES,
            **RATE,
            "optimizer": {"choices": ["sgd", "adamw"]},
            "momentum": {"low": 0.8, "high": 0.99, "scale": "log1m", "when": {"optimizer": ["sgd"]}},
            "beta2": {"low": 0.9, "high": 0.999, "scale": "log1m", "when": {"optimizer": ["adamw"]}},
            "warmup_steps": {"low": 0, "high": 50},
        }
    ),
    "choices": Space.model_validate({"global_batch_size": {"choices": [24, 48]}, **RATE, "norm_batch_size": 8}),
}


def steps(recipe: Recipe) -> float:
    """A bowl whose best learning rate grows with the batch size."""
    best = 0.1 * math.sqrt(recipe.global_batch_size / 16)
    return 100 * math.exp(math.log(recipe.learning_rate / best) ** 2)


def trial(number: int, recipe: Recipe) -> Trial:
    outcomes = (Outcome.REACHED, Outcome.REACHED, Outcome.STOPPED, Outcome.DIVERGED, Outcome.REACHED, None)
    outcome = outcomes[number % len(outcomes)]
    reached = steps(recipe) if outcome is Outcome.REACHED else None
    ending = Ending(outcome=outcome, step=9, examples=99, seconds=1.0, steps_to_target=reached) if outcome else None
    return Trial(
        number=number,
        recipe=recipe,
        num_devices=1,
        running=ending is None,
        intermediate={16: 1.0, 99: float("nan") if outcome is Outcome.DIVERGED else 0.5},
        ending=ending,
    )


def history(searcher: Searcher, space: Space, count: int, seed: int = 0) -> list[Trial]:
    trials: list[Trial] = []
    while len(trials) < count and (proposal := searcher.ask(space, trials, seed)) is not None:
        assert proposal.why
        trials.append(trial(len(trials), proposal.recipe))
    return trials


@pytest.mark.parametrize("space_name", SPACES)
@pytest.mark.parametrize("name", SEARCHERS)
def test_conformance(name: str, space_name: str) -> None:
    searcher, space = SEARCHERS[name], SPACES[space_name]
    trials = history(searcher, space, 30)
    assert trials
    for one in trials:
        assert space.contains(one.recipe)
    again = searcher.ask(space, trials[:-1], 0)
    assert again is not None
    assert again.recipe == trials[-1].recipe, "ask must be pure: the same history and seed, the same answer"
    if len(trials) == 30 and name != "grid":
        assert {one.recipe.global_batch_size for one in trials} == set(space.batch_sizes)


def test_tpe_gives_every_batch_size_its_turn() -> None:
    counts = [one.recipe.global_batch_size for one in history(SEARCHERS["optuna-tpe"], SPACES["flat"], 40)]
    assert all(abs(counts.count(size) - 10) <= 3 for size in SPACES["flat"].batch_sizes)


def test_tpe_learns_where_the_optimum_is() -> None:
    """After 40 trials its proposals are nearer to each batch size's optimum than Halton's, over 8 seeds."""

    def miss(searcher: Searcher, seed: int) -> float:
        late = history(searcher, SPACES["flat"], 40, seed)[24:]
        return float(np.median([math.log(steps(one.recipe) / 100) for one in late]))

    wins = [miss(SEARCHERS["optuna-tpe"], seed) < miss(SEARCHERS["halton"], seed) for seed in range(8)]
    assert sum(wins) >= 7


def test_grid_ends() -> None:
    trials = history(SEARCHERS["grid"], SPACES["flat"], 1000)
    assert len(trials) == len({one.recipe for one in trials}) == 4 * 4


def test_seeds_differ() -> None:
    first, second = (history(SEARCHERS["halton"], SPACES["flat"], 5, seed) for seed in (0, 1))
    assert first != second
