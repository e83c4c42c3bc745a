"""``projection`` stops what can be the best at no worker count, and nothing else."""

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from largebatch.schedulers.trial.projection import Projection
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.testing import falling_curve, make_trial

TARGET = Target(metric="val_loss", below=0.1)


@dataclass(frozen=True)
class Seconds:
    workers: tuple[int, ...] = (1, 8)

    def log_seconds(self, global_batch_size: int) -> np.ndarray:
        return np.array(
            [math.log(global_batch_size), math.log(global_batch_size / 8) if global_batch_size >= 256 else math.inf]
        )

    def alone(self, global_batch_size: int) -> float:
        return float(global_batch_size)


SCHEDULER = Projection(TARGET, Seconds(), grace_examples=1_000)


def part(number: int, size: int, whole: float, share: float, rate: float = 0.1) -> Trial:
    """Runs, and has trained a share of the ``whole`` examples to the target."""
    return make_trial(
        number, curve=falling_curve(whole, share), global_batch_size=size, learning_rate=rate, seed=number
    )


def reached(number: int, size: int, whole: float) -> Trial:
    return make_trial(
        number, curve=falling_curve(whole), steps_to_target=whole / size, examples_to_target=whole,
        global_batch_size=size, learning_rate=0.2, seed=number,
    )  # fmt: skip


BEST = reached(0, 32, 10_000)


def test_a_trial_much_slower_than_the_best_stops_early() -> None:
    slow = part(1, 32, 60_000, 0.3)
    decision = SCHEDULER.decide(slow, [BEST, slow])
    assert decision.action == "stop"
    assert "at least" in decision.why


def test_nothing_stops_before_the_grace_or_before_any_trial_reached_the_target() -> None:
    slow = part(1, 32, 1e6, 0.05)
    assert SCHEDULER.decide(slow, [slow]).action == "go on"
    early = make_trial(2, recipe=slow.recipe, curve={0: 2.0, 999: 1.9})
    assert SCHEDULER.decide(early, [BEST, early]).action == "go on"


def test_a_batch_size_that_alone_serves_a_worker_count_goes_on() -> None:
    """At 8 workers only 256 examples a step can be dealt out, so a slow trial still is the best known there."""
    slow = part(1, 256, 60_000, 0.3)
    assert SCHEDULER.decide(slow, [BEST, slow]).action == "go on"
    assert SCHEDULER.decide(slow, [BEST, reached(2, 256, 20_000), slow]).action == "stop"


@given(whole=st.floats(3_000, 10_000), share=st.floats(0.1, 0.95))
def test_a_trial_that_will_be_the_best_is_never_stopped(whole: float, share: float) -> None:
    better = part(1, 32, whole, share)
    assert SCHEDULER.decide(better, [BEST, better]).action == "go on"


@given(share=st.floats(0.1, 1.0), more=st.floats(0.0, 0.5))
def test_what_has_trained_longer_than_the_best_took_is_stopped(share: float, more: float) -> None:
    """Without a projection (no better than at its start), the examples themselves decide."""
    stuck = make_trial(1, curve={0: 2.0, int(10_001 * (1 + more)): 2.5})
    assert SCHEDULER.decide(stuck, [BEST, stuck]).action == "stop"
    fresh = make_trial(1, curve={0: 2.0, int(9_000 * share): 2.5})
    assert SCHEDULER.decide(fresh, [BEST, fresh]).action == "go on"


def test_another_training_of_a_recipe_that_did_well_is_waited_for() -> None:
    """Up to three times what the lucky one took; a rate that is a tenth larger makes no other recipe."""
    for rate in (0.2, 0.22):
        unlucky = part(1, 32, 60_000, 0.45, rate=rate)
        assert max(unlucky.intermediate) < 30_000
        assert SCHEDULER.decide(unlucky, [BEST, unlucky]).action == "go on"
    hopeless = part(1, 32, 60_000, 0.55, rate=0.2)
    assert SCHEDULER.decide(hopeless, [BEST, hopeless]).action == "stop"
