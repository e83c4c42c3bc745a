"""Met before the first evaluation, a target is a bound for searcher and scheduler, not what a straight line says."""

import dataclasses
import math

import numpy as np
import pytest

from largebatch.schedulers.trial.projection import Projection
from largebatch.search.searchers.guided.observations import see
from largebatch.spaces.curve_projection import passages, project
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.testing import make_trial

TARGET = Target(metric="val_loss", below=0.1)


def trial(number: int, curve: dict[int, float], middle: float | None, rate: float = 0.1) -> Trial:
    """Of batch size 32; reached at ``middle`` examples, interpolated; else it runs."""
    steps = None if middle is None else middle / 32
    return make_trial(
        number, curve=curve, steps_to_target=steps, examples_to_target=middle, learning_rate=rate, seed=number
    )


EARLY = trial(0, {0: 2.0, 8_000: 0.05}, 7_800)
LATER = trial(1, {0: 2.0, 8_000: 0.5, 16_000: 0.05}, 15_000)


def test_the_surrogate_knows_how_little_a_bound_says() -> None:
    seen = see([EARLY, LATER], [EARLY, LATER], [32], TARGET, 100_000)
    assert seen.y_T.tolist() == pytest.approx([math.log(250) / 2, math.log(15_000 / 32)])
    assert seen.spread_T[0] == pytest.approx(math.log(250) / math.sqrt(12))
    assert seen.spread_T[1] < 1


def test_a_projection_along_a_curve_s_first_interval_is_unsure() -> None:
    dense = trial(2, {0: 2.0, **{k * 1_000: 0.5 / k for k in range(1, 6)}}, 5_000)
    coarse = trial(3, {0: 2.0, 4_000: 0.11, 5_000: 0.1}, 5_000)
    running = trial(4, {0: 2.0, 2_000: 0.25}, None)
    surer, unsure = (project(running, passages([one], TARGET), TARGET) for one in (dense, coarse))
    assert surer is not None
    assert unsure is not None
    assert surer.log_examples == pytest.approx(math.log(5_000), abs=0.01)
    assert unsure.spread > surer.spread + 0.5


@dataclasses.dataclass
class Seconds:
    workers: tuple[int, ...] = (1,)

    def log_seconds(self, global_batch_size: int) -> np.ndarray:
        return np.array([math.log(global_batch_size)])

    def alone(self, global_batch_size: int) -> float:
        return float(global_batch_size)


def test_a_trial_is_not_stopped_for_what_a_straight_line_says() -> None:
    """At 7,900 examples it may still be as good as one of which is known only that it took 8,000 at most."""
    running = trial(5, {0: 2.0, 7_900: 2.5}, None, rate=0.9)
    scheduler = Projection(TARGET, Seconds(), grace_examples=100)
    assert scheduler.decide(running, [EARLY, running]).action == "go on"
    exact = dataclasses.replace(EARLY, intermediate={0: 2.0, 7_775: 0.11, 7_800: 0.09})
    assert scheduler.decide(running, [exact, running]).action == "stop"
