"""Repeats: finalists of the batch sizes that matter, seeds in common, a comparison that forgets the lucky first run."""

import math

import numpy as np
import pytest

from largebatch.search.plan.finalists import compare_finalists, repeat_seed, wanted_repeats, winner
from largebatch.spaces.trial import Outcome, Trial
from largebatch.testing import MadeUpSeconds, make_trial

SECONDS = MadeUpSeconds(workers=(1, 16), fixed=10.0)


def reached(number: int, size: int, rate: float, steps: float, *, repeat_of: int | None = None, seed: int = 0) -> Trial:
    return make_trial(
        number, steps_to_target=steps, repeat_of=repeat_of, global_batch_size=size, learning_rate=rate, seed=seed
    )


TRIALS = [
    reached(0, 32, 0.1, 100.0), reached(1, 32, 0.2, 90.0), reached(2, 32, 0.4, 200.0),
    reached(3, 512, 0.5, 20.0), reached(4, 512, 0.6, 21.0), reached(5, 128, 0.3, 500.0),
    make_trial(6, outcome=Outcome.EXHAUSTED, global_batch_size=128, learning_rate=0.3),
]  # fmt: skip


def test_the_two_best_of_each_batch_size_that_matters() -> None:
    """128 takes 500 steps and is the best at no worker count."""
    assert [one.number for one in wanted_repeats(TRIALS, 2, SECONDS)] == [0, 1, 3, 4, 0, 1, 3, 4]
    assert {one.number for one in wanted_repeats(TRIALS, 2, None)} == {0, 1, 3, 4, 5}
    assert wanted_repeats(TRIALS, 1, SECONDS) == []
    assert wanted_repeats([], 3, SECONDS) == []


def test_what_has_run_or_runs_is_not_wanted_again() -> None:
    running = make_trial(7, repeat_of=0)
    wanted = [one.number for one in wanted_repeats([*TRIALS, running], 2, SECONDS)]
    assert wanted == [1, 3, 4, 0, 1, 3, 4] or sorted(wanted) == [0, 1, 1, 3, 3, 4, 4]
    sure = [reached(7 + k, 32, 0.1, 100.0 + k, repeat_of=0, seed=k) for k in range(2)]
    assert 0 not in [one.number for one in wanted_repeats([*TRIALS, *sure], 9, SECONDS)], "known to 3 % already"


def test_finalists_share_their_seeds() -> None:
    first = repeat_seed(TRIALS, TRIALS[0])
    assert first == repeat_seed(TRIALS, TRIALS[1])
    done = [*TRIALS, reached(7, 32, 0.1, 95.0, repeat_of=0, seed=first)]
    assert repeat_seed(done, TRIALS[0]) != first
    assert first not in {one.recipe.seed for one in TRIALS}


def test_the_winner_is_that_of_the_repeats_and_not_of_the_luckiest_run() -> None:
    """Trial 1 was lucky: its recipe takes a tenth more on average. Paired differences of log(steps), by hand."""
    steps = {0: (100.0, 104.0, 98.0), 1: (112.0, 113.0, 109.0)}
    repeats = [reached(7 + 3 * n + k, 32, 0.1, s, repeat_of=n, seed=k) for n in steps for k, s in enumerate(steps[n])]
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
    pair = [reached(7, 32, 0.1, 100.0, repeat_of=0, seed=1), reached(8, 32, 0.2, 110.0, repeat_of=1, seed=1)]
    (found,) = compare_finalists([*TRIALS, *pair])
    assert (found.low, found.high) == (0.0, math.inf)
