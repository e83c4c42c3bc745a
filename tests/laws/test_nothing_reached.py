"""The advice where no trial reached the target follows from how they ended and blames nothing unmeasured."""

from collections.abc import Mapping

import pytest

from largebatch.search.laws.nothing_reached import nothing_reached
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Outcome, Trial

EASIER = "choose an easier target"
CURVE = {0: 0.1, 640: 0.5}


def ended(number: int, outcome: Outcome, curve: Mapping[int, float] = CURVE, reason: str = "") -> Trial:
    step = max(curve, default=0) // 64
    ending = Ending(outcome=outcome, step=step, examples=64 * step, seconds=1.0, reason=reason)
    recipe = Recipe(global_batch_size=64, learning_rate=0.1)
    return Trial(number=number, recipe=recipe, num_devices=1, running=False, intermediate=curve, ending=ending)


@pytest.mark.parametrize(
    ("trials", "said", "unsaid"),
    [
        (
            [ended(0, Outcome.FAILED, {}, "ValueError: one"), ended(1, Outcome.FAILED, {0: 0.1}, "ValueError: two")],
            ["2 failed; the last failure: ValueError: two; fix what made trials fail (`largebatch check`"],
            [EASIER, "learning rates", "examples_per_trial", "the metric lay"],
        ),
        (
            [ended(0, Outcome.DIVERGED), ended(1, Outcome.DIVERGED, {0: 0.1, 64: 0.3})],
            ["2 diverged; at their ends the metric lay between 0.3 and 0.5; search lower learning rates"],
            [EASIER, "examples_per_trial", "fix what"],
        ),
        (
            [ended(0, Outcome.EXHAUSTED)],
            ["1 used up its examples; at their ends the metric lay between 0.5 and 0.5; choose an easier target, a "],
            ["fix what", "lower learning rates"],
        ),
        (
            [ended(0, Outcome.STOPPED), ended(1, Outcome.STOPPED)],
            ["2 stopped early; ", "let trials run longer: a larger scheduler.grace_examples"],
            [EASIER],
        ),
        (
            [ended(0, Outcome.EXHAUSTED, {0: 0.1})],
            ["raise budget.examples_per_trial, of which batch 64 could not take a single step"],
            [EASIER, "the metric lay"],
        ),
        (
            [ended(0, Outcome.EXHAUSTED, {0: 0.1, 64: float("nan")})],
            ["at their ends the metric was not finite; look for a log or a division of zero in the metric"],
            [EASIER],
        ),
        (
            [ended(0, Outcome.EXHAUSTED), ended(1, Outcome.FAILED, {}, "OSError: x"), ended(2, Outcome.DIVERGED)],
            ["none of 3 trials reached the target: 1 used up its examples, 1 diverged, 1 failed; ", "fix what", EASIER],
            [],
        ),
    ],
)  # fmt: skip
def test_advice_looks_at_outcomes(trials: list[Trial], said: list[str], unsaid: list[str]) -> None:
    words = nothing_reached(trials)
    assert [part for part in said if part not in words] == [], words
    assert [part for part in unsaid if part in words] == [], words
