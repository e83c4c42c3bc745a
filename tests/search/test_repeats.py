"""Repeats: finalists of the batch sizes that matter, seeds in common, a comparison that forgets the lucky first run."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from largebatch.search.repeats import compare_finalists, repeat_seed, wanted_repeats, winner
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Outcome, Trial


@dataclass(frozen=True)
class Seconds:
    """Two worker counts; a step takes as long as its share of the examples and a fixed part."""

    workers: tuple[int, ...] = (1, 16)

    def log_seconds(self, global_batch_size: int) -> np.ndarray:
        return np.log(10 + global_batch_size / np.array(self.workers))

    def alone(self, global_batch_size: int) -> float:
        return 10.0 + global_batch_size


def trial(
    number: int, size: int, rate: float, steps: float | None, repeat_of: int | None = None, seed: int = 0
) -> Trial:
    outcome = Outcome.REACHED if steps is not None else Outcome.EXHAUSTED
    ending = Ending(outcome=outcome, step=9, examples=99, seconds=1.0, steps_to_target=steps)
    recipe = Recipe(global_batch_size=size, learning_rate=rate, seed=seed)
    return Trial(
        number=number, recipe=recipe, num_devices=1, running=False, intermediate={9: 0.5}, ending=ending,
        repeat_of=repeat_of,
    )  # fmt: skip


TRIALS = [
    trial(0, 32, 0.1, 100.0), trial(1, 32, 0.2, 90.0), trial(2, 32, 0.4, 200.0),
    trial(3, 512, 0.5, 20.0), trial(4, 512, 0.6, 21.0), trial(5, 128, 0.3, 500.0), trial(6, 128, 0.3, None),
]  # fmt: skip


def test_the_two_best_of_each_batch_size_that_matters() -> None:
    """128 takes 500 steps and is the best at no worker count."""
    assert [one.number for one in wanted_repeats(TRIALS, 2, Seconds())] == [0, 1, 3, 4, 0, 1, 3, 4]
    assert {one.number for one in wanted_repeats(TRIALS, 2, None)} == {0, 1, 3, 4, 5}
    assert wanted_repeats(TRIALS, 1, Seconds()) == []
    assert wanted_repeats([], 3, Seconds()) == []


def test_what_has_run_or_runs_is_not_wanted_again() -> None:
    running = replace(trial(7, 32, 0.1, None, repeat_of=0), running=True, ending=None)
    wanted = [one.number for one in wanted_repeats([*TRIALS, running], 2, Seconds())]
    assert wanted == [1, 3, 4, 0, 1, 3, 4] or sorted(wanted) == [0, 1, 1, 3, 3, 4, 4]
    sure = [trial(7 + k, 32, 0.1, 100.0 + k, repeat_of=0, seed=k) for k in range(2)]
    assert 0 not in [one.number for one in wanted_repeats([*TRIALS, *sure], 9, Seconds())], "known to 3 % already"


def test_finalists_share_their_seeds() -> None:
    first = repeat_seed(TRIALS, TRIALS[0])
    assert first == repeat_seed(TRIALS, TRIALS[1])
    done = [*TRIALS, trial(7, 32, 0.1, 95.0, repeat_of=0, seed=first)]
    assert repeat_seed(done, TRIALS[0]) != first
    assert first not in {one.recipe.seed for one in TRIALS}


def test_the_winner_is_that_of_the_repeats_and_not_of_the_luckiest_run() -> None:
    """Trial 1 was lucky: its recipe takes a tenth more on average. Paired differences of log(steps), by hand."""
    steps = {0: (100.0, 104.0, 98.0), 1: (112.0, 113.0, 109.0)}
    repeats = [trial(7 + 3 * n + k, 32, 0.1, s, repeat_of=n, seed=k) for n in steps for k, s in enumerate(steps[n])]
    (found,) = compare_finalists([*TRIALS, *repeats])
    assert (found.first, found.second, found.num_seeds) == (0, 1, 3)
    apart = np.log(np.array(steps[1]) / np.array(steps[0]))
    assert found.ratio == pytest.approx(math.exp(apart.mean()))
    half = 2.91998558 * apart.std(ddof=1) / math.sqrt(3)  # Student's t, 2 degrees of freedom, 95 %
    assert (found.low, found.high) == pytest.approx((math.exp(apart.mean() - half), math.exp(apart.mean() + half)))
    best = winner([one for one in [*TRIALS, *repeats] if one.recipe.global_batch_size == 32])
    assert best is not None
    assert best.number == 0
    lucky = winner([one for one in TRIALS if one.recipe.global_batch_size == 32])
    assert lucky is not None
    assert lucky.number == 1


def test_one_pair_alone_has_no_interval() -> None:
    pair = [trial(7, 32, 0.1, 100.0, repeat_of=0, seed=1), trial(8, 32, 0.2, 110.0, repeat_of=1, seed=1)]
    (found,) = compare_finalists([*TRIALS, *pair])
    assert (found.low, found.high) == (0.0, math.inf)
