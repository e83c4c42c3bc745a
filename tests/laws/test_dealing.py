"""How batches are dealt to workers: in whole groups that share batch statistics, or in single examples without."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import plan_notes
from largebatch.studies.question.registry import make_step_seconds
from largebatch.studies.question.study_file import parse_study
from largebatch.testing import make_trial
from largebatch.trainers.profiling.step_timing import profile_steps

from ..training.problems import problem, recipe
from .test_plan import plan, profile

STUDY = """\
name: small
task: digits
workers: [1, 8]
space:
  global_batch_size: {choices: [16, 32, 256]}
  learning_rate: 0.1
budget: {trials: 3}
"""


def without_statistics(some: StepTimeProfile, *, known: bool | None = False) -> StepTimeProfile:
    return some.model_copy(update={"has_batch_statistics": known})


def two_sizes(norm: int, sizes: Sequence[int] = (16, 64)) -> list[Trial]:
    """Trials of steps 40 (1 + 100 / B) with ``norm_batch_size: norm``, four rates each."""
    trials = []
    for size in sizes:
        for rate in (0.1, 0.2, 0.4, 0.8):
            steps = 40 * (1 + 100 / size) * math.exp(0.3 * math.log(rate / 0.3) ** 2)
            trials.append(
                make_trial(
                    len(trials), steps_to_target=steps, seconds=0.01 * math.ceil(steps), global_batch_size=size,
                    learning_rate=rate, norm_batch_size=norm,
                )
            )  # fmt: skip
    return trials


@pytest.mark.parametrize("known", [None, True])
def test_each_batch_size_has_its_own_group(known: bool | None) -> None:
    """Groups of 16 and of 32: one worker takes either batch, two take 64, four would cut its groups."""
    answer = plan(two_sizes(32), without_statistics(profile(), known=known), (1, 2, 4))
    assert [(row.num_workers, row.global_batch_size) for row in answer.rows][1] == (2, 64)
    assert [row.num_workers for row in answer.rows] == [1, 2]
    assert answer.unplanned == (4,)
    assert "whole groups of 16 or 32 examples" in answer.unplanned_why
    for row in answer.rows:
        Recipe.model_validate(row.recipe)


def test_a_model_without_batch_statistics_has_groups_of_one() -> None:
    answer = plan(two_sizes(32), without_statistics(profile()), (1, 2, 4, 16, 64))
    assert [row.num_workers for row in answer.rows] == [1, 2, 4, 16, 64]
    assert answer.left_out == ()
    for row in answer.rows:
        assert row.local_batch_size * row.num_workers == row.global_batch_size
        recipe = Recipe.model_validate(row.recipe)
        assert recipe.local_batch_size % recipe.group_size == 0


def test_the_plan_without_batch_statistics_is_that_of_groups_of_one() -> None:
    """GPT-like: batches from 8 on, which 64 workers share with an example or more each."""
    sizes, counts = (8, 16, 32, 64, 128, 256), (1, 2, 8, 64)
    times = profile(fixed=2e-2, slope=2e-3)
    whole = plan(two_sizes(32, sizes), times, counts)
    cut = plan(two_sizes(32, sizes), without_statistics(times), counts)
    single = plan(two_sizes(1, sizes), times, counts)
    assert [row.global_batch_size for row in cut.rows] == [row.global_batch_size for row in single.rows]
    assert cut.rows[-1].speedup == pytest.approx(single.rows[-1].speedup, rel=1e-6)
    assert cut.rows[-1].speedup > 2 * whole.rows[-1].speedup
    assert whole.rows[-1].global_batch_size == 64 * 32


def test_a_measured_batch_that_no_row_can_have_is_named() -> None:
    answer = plan(two_sizes(32, (16, 64, 128, 256)), profile(), (2, 4))
    assert answer.left_out == (16,)
    assert answer.to_json()["left_out"]["global_batch_size"] == [16]
    assert any(
        note == "Measured and left out of the plan: batch 16, for no worker count of the plan deals them in whole "
        "groups of 16 or 32 examples."
        for note in plan_notes(answer)
    )


def test_groups_may_differ_from_batch_to_batch() -> None:
    """norm_batch_size was searched: 8 was best up to 64, 64 above."""
    trials = [
        replace(
            one,
            recipe=one.recipe.model_copy(update={"norm_batch_size": 8 if one.recipe.global_batch_size <= 64 else 64}),
        )
        for one in two_sizes(32, (16, 32, 64, 128, 256, 512))
    ]
    answer = plan(trials, profile(), (1, 2, 4, 8, 16))
    for row in answer.rows:
        recipe = Recipe.model_validate(row.recipe)
        assert recipe.norm_batch_size == (8 if row.global_batch_size <= 90 else 64)
        assert row.local_batch_size % min(recipe.norm_batch_size, row.global_batch_size) == 0


def test_no_batch_is_offered_that_no_recipe_takes() -> None:
    """Of 24, 48 and 96, what lies beyond a batch of 12, the second is no whole number of groups of 32."""
    answer = plan(two_sizes(32, (6, 8, 10, 12)), without_statistics(profile()), (1, 4, 16, 64, 128))
    assert {one.at for one in answer.next_measurements if one.of == "global_batch_size"} >= {24, 96}
    assert 48 not in {one.at for one in answer.next_measurements}


@pytest.mark.parametrize("kind", ["plain", "no-norm"])
def test_the_profile_records_whether_statistics_are_shared(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("largebatch.trainers.profiling.repeats.MIN_REPEAT_SECONDS", 1e-4)
    found = profile_steps("x", problem(kind), recipe(), [4, 8], torch.device("cpu"), Execution())
    assert found.has_batch_statistics is (kind == "plain")


def test_the_search_serves_workers_with_single_examples() -> None:
    """A batch of 16 is as good for 8 workers as groups of 32 for none."""
    study = parse_study(STUDY, "study.yaml")
    whole = make_step_seconds(study, profile())
    cut = make_step_seconds(study, without_statistics(profile()))
    assert whole is not None
    assert cut is not None
    assert [math.isfinite(value) for value in whole.log_seconds(16)] == [True, False]
    assert [math.isfinite(value) for value in cut.log_seconds(16)] == [True, True]
