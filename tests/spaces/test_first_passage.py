"""Projections of the first passage: exact along curves that are alike but for their pace."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.first_passage import passages, project
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Outcome, Trial

TARGET = Target(metric="val_loss", below=0.1)


def trial(number: int, pace: float, until: float, *, reached: bool, size: int = 32) -> Trial:
    """A loss that falls as 1 / examples and passes the target at 10,000 / pace; measured in 40 even intervals."""
    whole = 10_000 / pace
    curve = {0: 2.0} | {round(k * whole / 40): min(2.0, 0.1 * 40 / k) for k in range(1, int(40 * until) + 1)}
    end = max(curve)
    ending = None
    if reached:
        ending = Ending(
            outcome=Outcome.REACHED, step=end // size, examples=end, seconds=1.0, steps_to_target=whole / size,
            examples_to_target=whole,
        )  # fmt: skip
    recipe = Recipe(global_batch_size=size, learning_rate=0.1)
    return Trial(number=number, recipe=recipe, num_devices=1, running=not reached, intermediate=curve, ending=ending)


@given(pace=st.floats(0.1, 10.0), until=st.floats(0.2, 0.95))
def test_a_curve_of_another_pace_is_projected_exactly(pace: float, until: float) -> None:
    found = project(trial(1, pace, until, reached=False), passages([trial(0, 1.0, 1.0, reached=True)], TARGET), TARGET)
    assert found is not None
    assert found.log_examples == pytest.approx(math.log(10_000 / pace), abs=0.03)


@given(first=st.floats(0.2, 0.5), more=st.floats(0.1, 0.4))
def test_the_nearer_the_target_the_surer(first: float, more: float) -> None:
    reference = [trial(0, 1.0, 1.0, reached=True)]
    early = project(trial(1, 2.0, first, reached=False), passages(reference, TARGET), TARGET)
    late = project(trial(1, 2.0, first + more, reached=False), passages(reference, TARGET), TARGET)
    assert early is not None
    assert late is not None
    assert late.spread < early.spread


def test_nothing_is_projected_without_a_curve_to_go_along() -> None:
    running = trial(1, 1.0, 0.5, reached=False)
    assert project(running, passages([], TARGET), TARGET) is None
    untouched = Trial(number=2, recipe=running.recipe, num_devices=1, running=True, intermediate={0: 2.0, 500: 2.1})
    assert project(untouched, passages([trial(0, 1.0, 1.0, reached=True)], TARGET), TARGET) is None
    wild = Trial(number=2, recipe=running.recipe, num_devices=1, running=True, intermediate={0: math.nan})
    assert project(wild, passages([trial(0, 1.0, 1.0, reached=True)], TARGET), TARGET) is None


def test_curves_that_disagree_widen_the_projection() -> None:
    def flat(number: int, passed: int) -> Trial:
        """Reaches half the way at ``passed`` of 10,000 examples."""
        curve = {0: 2.0, passed: 0.4, 10_000: 0.1}
        ending = Ending(outcome=Outcome.REACHED, step=312, examples=10_000, seconds=1.0, steps_to_target=312.5)
        recipe = Recipe(global_batch_size=32, learning_rate=0.1)
        return Trial(number=number, recipe=recipe, num_devices=1, running=False, intermediate=curve, ending=ending)

    running = Trial(
        number=9, recipe=Recipe(global_batch_size=32, learning_rate=0.2), num_devices=1, running=True,
        intermediate={0: 2.0, 1_000: 0.4},
    )  # fmt: skip
    alike = project(running, passages([flat(0, 3_000), flat(1, 3_000)], TARGET), TARGET)
    apart = project(running, passages([flat(0, 1_000), flat(1, 9_000)], TARGET), TARGET)
    assert alike is not None
    assert apart is not None
    assert apart.spread > alike.spread
