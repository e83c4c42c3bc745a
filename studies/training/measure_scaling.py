"""``benchmark``: steps are timed on as many workers as there are devices, and predicted beyond them by the law."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from largebatch.search.laws.holdout import withhold_workers
from largebatch.search.laws.step_time.interconnects import Network, find_interconnect
from largebatch.search.laws.step_time.timings import timings_of_profile
from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.studies.answer.answer import read_answer
from largebatch.studies.answer.scaling.scaling import Scaling, ScalingRow, predict_seconds
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.training.step_profile import joined, profile_question, refuse_unsuited, time_workers
from largebatch.trainers.data.streamed import num_examples
from largebatch.trainers.task import load_task

USUAL_LOCAL_BATCH_SIZE = 32
"""Or what goes through the model in one pass, where the task says that this is less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingQuestion:
    """What to time. ``workers`` rise from 1, which speed-ups are against; ``recipe`` gives all but the batch size."""

    task: str
    workers: tuple[int, ...]
    local_batch_size: int
    num_examples: int
    recipe: Recipe
    execution: Execution
    network: Network
    plan: Plan | None


def ask_scaling(
    task: str, workers: Sequence[int], local_batch_size: int | None, *, study: Path | None, network: Network,
    execution: Mapping[str, Any],
) -> ScalingQuestion:  # fmt: skip
    """The question of the command line; with a study, of its recipe, and of its execution but for ``execution``.

    Raises:
        UserError: if the task, the interconnect or the study does not exist, the study is of another task or has no
            plan, or the local batch does not suit the recipe's groups.
    """
    find_interconnect(network.interconnect)
    counts = tuple(sorted({1, *workers}))
    plan: Plan | None = None
    recipe_values: dict[str, Any] = {}
    execution_values: dict[str, Any] = {}
    if study is not None:
        plan, recipe_values, execution_values = _of_study(study, task, counts, network)
    recipe, chosen = profile_question(recipe_values, {**execution_values, **execution})
    loaded = load_task(task, recipe.task_options)
    size = local_batch_size
    if size is None:
        size, group = min(USUAL_LOCAL_BATCH_SIZE, loaded.micro_batch_size), recipe.norm_batch_size
        size = size if size <= group else size - size % group
    refuse_unsuited("--local-batch-size", [size], recipe)
    return ScalingQuestion(
        task=task, workers=counts, local_batch_size=size, num_examples=num_examples(loaded.train_data), recipe=recipe,
        execution=chosen, network=network, plan=plan,
    )  # fmt: skip


def measure_scaling(question: ScalingQuestion, *, address: str | None, in_process: bool) -> Scaling:
    """Time the numbers of workers that there are devices for, and predict the others."""

    def counts(total: int) -> list[int]:
        return [count for count in question.workers if count <= total]

    profiles = time_workers(
        question.task, counts, [question.local_batch_size], question.recipe, question.execution,
        address=address, in_process=in_process,
    )  # fmt: skip
    return scaling_of_profiles(question, profiles)


def scaling_of_profiles(question: ScalingQuestion, profiles: Mapping[int, StepTimeProfile]) -> Scaling:
    """The answer from profiles by number of workers, 1 among them."""
    whole = joined(profiles)
    rng = np.random.default_rng(0)
    law, withheld = withhold_workers(timings_of_profile(whole), question.network, rng, whole.device)
    local = question.local_batch_size
    measured = {1: whole.compute[0].seconds} | {time.num_workers: time.seconds for time in whole.steps}
    seconds = {count: _quartiles(repeats) for count, repeats in measured.items()}
    alone = seconds[1][1]
    beyond = [count for count in question.workers if count not in measured]
    if beyond:
        told = predict_seconds(law, beyond, local, alone)
        bounds = zip(told.low.tolist(), told.value.tolist(), told.high.tolist(), strict=True)
        seconds |= dict(zip(beyond, bounds, strict=True))
    return Scaling(
        task=question.task, device=whole.device, local_batch_size=local, num_examples=question.num_examples,
        alone_seconds=alone, execution=question.execution, law=law, withheld=withheld, plan=question.plan,
        rows=tuple(_row(question, count, seconds[count], alone, count in measured) for count in question.workers),
    )  # fmt: skip


def _row(
    question: ScalingQuestion, count: int, seconds: tuple[float, float, float], alone: float, measured: bool
) -> ScalingRow:
    low, middle, high = seconds
    rate = count * question.local_batch_size / middle
    planned = _planned(question.plan, count)
    return ScalingRow(
        num_workers=count, local_batch_size=question.local_batch_size,
        global_batch_size=count * question.local_batch_size,
        step_seconds=middle, step_seconds_low=low, step_seconds_high=high,
        examples_per_second=rate, epoch_seconds=question.num_examples / rate,
        speedup=count * alone / middle, speedup_low=count * alone / high, speedup_high=count * alone / low,
        efficiency=alone / middle,
        seconds_to_target=planned.seconds_to_target if planned else None,
        seconds_to_target_low=planned.seconds_low if planned else None,
        seconds_to_target_high=planned.seconds_high if planned else None,
        planned_batch_size=planned.global_batch_size if planned else None,
        measured=measured,
    )  # fmt: skip


def _planned(plan: Plan | None, count: int) -> PlanRow | None:
    return next((row for row in plan.rows if row.num_workers == count), None) if plan is not None else None


def _quartiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(seconds, n=4)
    return low, middle, high


def _of_study(
    path: Path, task: str, workers: Sequence[int], network: Network
) -> tuple[Plan, dict[str, Any], dict[str, Any]]:
    """The study's plan, and as plain values its recipe for the fewest workers and its execution."""
    directory = StudyDirectory.existing(path)
    found = directory.study()
    if found.task != task:
        raise UserError(f"--study: {path} is a study of {found.task}, not of {task}; give one of {task}")
    answer = read_answer(directory, workers=workers, network=network)
    if answer.plan is None:
        raise UserError(f"--study: {path} has no plan yet: {answer.problem}")
    return answer.plan, dict(answer.plan.rows[0].recipe), found.execution.model_dump()
