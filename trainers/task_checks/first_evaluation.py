"""Whether the target is met before the first evaluation: then no trial knows when it was met."""

import math
import time
from collections.abc import Sequence
from functools import partial

import torch

from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding
from largebatch.trainers.task_checks.learning import NUM_EXAMPLES
from largebatch.trainers.training import Training

SECONDS = 10.0
"""At most for all recipes, but for those that meet the target."""
EVALUATIONS = 8
"""Before the target is met that would do."""
NAME = "the target is not met before the first evaluation"


def check_first_evaluation(
    task: Task, target: Target, recipes: Sequence[Recipe], max_examples: int, device: torch.device,
    execution: Execution, micro_batch_size: int, example_seconds: float,
) -> Finding:  # fmt: skip
    """Train each of ``recipes`` to its first evaluation, or as far as its share of the seconds goes.

    Where that comes after the first step, a passage before it is one step, exactly.
    """
    until = time.monotonic() + SECONDS
    first = min(task.evaluation_examples, max_examples)
    came_to: dict[int, int] = {}
    begin = partial(
        Training, task, max_examples=max_examples, device=device, execution=execution,
        micro_batch_size=micro_batch_size, alone=True,
    )  # fmt: skip
    for index, recipe in enumerate(recipes):
        now = time.monotonic()
        share = max(until - now, 0.0) / (len(recipes) - index)
        one = begin(recipe)
        whole = one.batch_size * example_seconds < share and _train(one, first, now + share)
        size = recipe.global_batch_size
        came_to[size] = min(came_to.get(size, first), first if whole else one.examples)
        if one.step > 1 and target.reached(one.evaluate(limit=NUM_EXAMPLES)[target.metric]):
            return _met(recipe, _passage(begin(recipe), target, one.examples), one, first)
    sizes = f"batch {min(came_to)} to {max(came_to)}"
    compared = (
        f"{target.metric} of the first {NUM_EXAMPLES:,} validation examples after the {first:,} examples at which a "
        f"trial is first evaluated, at {sizes} and the lowest, middle and highest learning rate"
    )
    short = {size: examples for size, examples in came_to.items() if examples < first}
    if short:
        size, examples = min(short.items(), key=lambda item: item[1])
        return Finding(
            name=NAME,
            passed=None,
            compared=compared,
            found=f"{first:,} examples take longer than a check may: batch {size} came to {examples:,}, not there yet",
        )
    return Finding(name=NAME, passed=True, compared=compared, found=f"not met after {first:,} examples at {sizes}")


def _train(training: Training, examples: int, until: float) -> bool:
    """Train for so many examples, or to the trial's end; whether that was done by then."""
    while training.examples < examples and training.examples + training.batch_size <= training.max_examples:
        if time.monotonic() > until:
            training.close()
            return False
        training.train_step()
    training.close()
    return True


def _passage(training: Training, target: Target, most: int) -> int:
    """Examples after which the target is met, up to a factor of two."""
    goal = training.batch_size
    while True:
        _train(training, min(goal, most), math.inf)
        if training.examples >= most or target.reached(training.evaluate(limit=NUM_EXAMPLES)[target.metric]):
            return training.examples
        goal *= 2


def _met(recipe: Recipe, met: int, training: Training, first: int) -> Finding:
    size = recipe.global_batch_size
    return Finding(
        name=NAME,
        passed=False,
        compared=f"the target with batch {size} at learning rate {recipe.learning_rate:g}, after {training.examples:,} "
        f"examples and before",
        found=f"batch {size} at learning rate {recipe.learning_rate:g} meets it within {met:,} examples; the first "
        f"evaluation comes after {first:,}, so that a trial would know no more than that",
        way_out=f"evaluate more often, with evaluation_examples={max(1, met // EVALUATIONS)} in the task, or choose a "
        f"harder target",
    )
