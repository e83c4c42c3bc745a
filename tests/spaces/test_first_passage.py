"""Projections of the first passage: exact along curves that are alike but for their pace."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.curve_projection import passages, project
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.testing import falling_curve, make_trial

TARGET = Target(metric="val_loss", below=0.1)


def part(pace: float, until: float) -> Trial:
    """Runs; a loss that will pass the target at 10,000 / pace examples, measured in 40 even intervals of them."""
    return make_trial(1, curve=falling_curve(10_000 / pace, until, evaluations=40))


REFERENCE = make_trial(
    curve=falling_curve(10_000, evaluations=40), steps_to_target=10_000 / 32, examples_to_target=10_000
)


@given(pace=st.floats(0.1, 10.0), until=st.floats(0.2, 0.95))
def test_a_curve_of_another_pace_is_projected_exactly(pace: float, until: float) -> None:
    found = project(part(pace, until), passages([REFERENCE], TARGET), TARGET)
    assert found is not None
    assert found.log_examples == pytest.approx(math.log(10_000 / pace), abs=0.03)


@given(first=st.floats(0.2, 0.5), more=st.floats(0.1, 0.4))
def test_the_nearer_the_target_the_surer(first: float, more: float) -> None:
    early = project(part(2.0, first), passages([REFERENCE], TARGET), TARGET)
    late = project(part(2.0, first + more), passages([REFERENCE], TARGET), TARGET)
    assert early is not None
    assert late is not None
    assert late.spread < early.spread


def test_nothing_is_projected_without_a_curve_to_go_along() -> None:
    running = part(1.0, 0.5)
    assert project(running, passages([], TARGET), TARGET) is None
    untouched = make_trial(2, curve={0: 2.0, 500: 2.1})
    assert project(untouched, passages([REFERENCE], TARGET), TARGET) is None
    wild = make_trial(2, curve={0: math.nan})
    assert project(wild, passages([REFERENCE], TARGET), TARGET) is None


def test_curves_that_disagree_widen_the_projection() -> None:
    def flat(number: int, passed: int) -> Trial:
        """Reaches half the way at ``passed`` of 10,000 examples."""
        return make_trial(number, curve={0: 2.0, passed: 0.4, 10_000: 0.1}, steps_to_target=312.5)

    running = make_trial(9, curve={0: 2.0, 1_000: 0.4}, learning_rate=0.2)
    alike = project(running, passages([flat(0, 3_000), flat(1, 3_000)], TARGET), TARGET)
    apart = project(running, passages([flat(0, 1_000), flat(1, 9_000)], TARGET), TARGET)
    assert alike is not None
    assert apart is not None
    assert apart.spread > alike.spread
