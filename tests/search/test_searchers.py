"""Every searcher keeps the protocol: pure, inside the space, all batch sizes, conditions respected."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from largebatch.search.guided.guided import Guided
from largebatch.search.samplers.cma_es import CmaEs
from largebatch.search.samplers.deephyper_cbo import DeepHyperCBO
from largebatch.search.samplers.gaussian_process import OptunaGP
from largebatch.search.samplers.grid import Grid
from largebatch.search.samplers.halton import Halton
from largebatch.search.samplers.tpe import OptunaTPE
from largebatch.search.searcher import Searcher
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Outcome, Trial


class Seconds:
    """Every batch size can be dealt to any of three worker counts."""

    workers = (1, 2, 4)

    def log_seconds(self, global_batch_size: int) -> np.ndarray:
        return np.log(8 + global_batch_size / np.array(self.workers))

    def alone(self, global_batch_size: int) -> float:
        return 8.0 + global_batch_size


TARGET = Target(metric="val_loss", below=0.1)
SEARCHERS: dict[str, Searcher] = {
    "grid": Grid(points_per_range=4),
    "halton": Halton(),
    "optuna-tpe": OptunaTPE(TARGET, "square-root"),
    "optuna-tpe-linear": OptunaTPE(TARGET, "linear"),
    "optuna-gp": OptunaGP(TARGET, "square-root"),
    "optuna-cmaes": CmaEs(TARGET, "square-root"),
    "deephyper-cbo": DeepHyperCBO(TARGET, "square-root"),
    "guided": Guided(TARGET, Seconds(), 2_000),
}
SIZES = {"global_batch_size": {"low": 16, "high": 128, "scale": "log2"}}
RATE = {"learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
SPACES = {
    "options of the task": Space.model_validate(
        {
            **SIZES,
            **RATE,
            "task.noisy": {"choices": [False, True]},
            "task.noise": {"low": 0.0, "high": 0.5, "when": {"task.noisy": [True]}},
        }
    ),
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
    "decay": Space.model_validate({**SIZES, **RATE, "weight_decay": {"low": 1e-6, "high": 1e-2, "scale": "log"}}),
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


def true_trial(number: int, recipe: Recipe) -> Trial:
    """Reaches the target unless it would take too long."""
    outcome = Outcome.REACHED if steps(recipe) < 1_000 else Outcome.EXHAUSTED
    reached = steps(recipe) if outcome is Outcome.REACHED else None
    ending = Ending(outcome=outcome, step=9, examples=99, seconds=1.0, steps_to_target=reached)
    metrics = {16: 1.0, 99: 0.1 * math.log(steps(recipe))}
    return Trial(number=number, recipe=recipe, num_devices=1, running=False, intermediate=metrics, ending=ending)


def history(
    searcher: Searcher, space: Space, count: int, seed: int = 0, train: Callable[[int, Recipe], Trial] = trial
) -> list[Trial]:
    trials: list[Trial] = []
    while len(trials) < count and (proposal := searcher.ask(space, trials, seed)) is not None:
        assert proposal.why
        trials.append(train(len(trials), proposal.recipe))
    return trials


@pytest.mark.parametrize("space_name", SPACES)
@pytest.mark.parametrize("name", SEARCHERS)
def test_conformance(name: str, space_name: str) -> None:
    """Pure, inside of the space (guided's rates may leave it by a factor, for it moves edges), all batch sizes."""
    searcher, space = SEARCHERS[name], SPACES[space_name]
    trials = history(searcher, space, 18)
    assert trials
    for one in trials:
        rate = space.root["learning_rate"].grid(1)[0]
        assert space.contains(one.recipe) or (name == "guided" and space.contains(rated(one.recipe, rate)))
    again = searcher.ask(space, trials[:-1], 0)
    assert again is not None
    assert again.recipe == trials[-1].recipe, "ask must be pure: the same history and seed, the same answer"
    if len(trials) == 18 and name not in ("grid", "guided"):
        assert {one.recipe.global_batch_size for one in trials} == set(space.batch_sizes)


def rated(recipe: Recipe, rate: object) -> Recipe:
    return recipe.model_copy(update={"learning_rate": rate})


@pytest.mark.parametrize("name", SEARCHERS)
def test_proposals_while_others_run_differ(name: str) -> None:
    """Four at once."""
    searcher, space = SEARCHERS[name], SPACES["flat"]
    trials = history(searcher, space, 10)
    for _ in range(4):
        proposal = searcher.ask(space, trials, 0)
        assert proposal is not None
        recipe = proposal.recipe
        running = Trial(number=len(trials), recipe=recipe, num_devices=1, running=True, intermediate={})
        trials = [*trials, running]
    assert len({one.recipe for one in trials[-4:]}) == 4


@pytest.mark.parametrize("name", SEARCHERS)
def test_odd_histories(name: str) -> None:
    """Nothing reached, all alike, and recipes that the space does not hold (a human's own)."""
    searcher, space = SEARCHERS[name], SPACES["conditional"]
    first = history(SEARCHERS["halton"], space, 12)
    ending = Ending(outcome=Outcome.EXHAUSTED, step=9, examples=99, seconds=1.0)
    hopeless = [replace(one, running=False, ending=ending) for one in first]
    alike = [replace(first[0], number=number) for number in range(12)]
    own = Recipe(global_batch_size=48, learning_rate=7.0, optimizer="lamb", norm_batch_size=16)
    foreign = [*first[:-1], replace(first[0], number=11, recipe=own)]
    for trials in (hopeless, alike, foreign):
        assert searcher.ask(space, trials, 0) is not None


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-gp", "optuna-cmaes", "deephyper-cbo"])
def test_it_learns_where_the_optimum_is(name: str) -> None:
    """After 16 trials its proposals are nearer to each batch size's optimum than Halton's, at each of 3 seeds."""

    def miss(searcher: Searcher, seed: int) -> float:
        late = history(searcher, SPACES["decay"], 28, seed, true_trial)[16:]
        return float(np.median([math.log(steps(one.recipe) / 100) for one in late]))

    assert all(miss(SEARCHERS[name], seed) < miss(SEARCHERS["halton"], seed) for seed in range(3))


def test_tpe_gives_every_batch_size_its_turn() -> None:
    counts = [one.recipe.global_batch_size for one in history(SEARCHERS["optuna-tpe"], SPACES["flat"], 40)]
    assert all(abs(counts.count(size) - 10) <= 3 for size in SPACES["flat"].batch_sizes)


def test_grid_ends() -> None:
    trials = history(SEARCHERS["grid"], SPACES["flat"], 1000)
    assert len(trials) == len({one.recipe for one in trials}) == 4 * 4


def test_seeds_differ() -> None:
    first, second = (history(SEARCHERS["halton"], SPACES["flat"], 5, seed) for seed in (0, 1))
    assert first != second
