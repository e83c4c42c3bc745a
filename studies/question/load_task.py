"""The task of a study and its target, loaded and checked before anything is trained."""

from typing import TYPE_CHECKING

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.studies.question.study import Study

if TYPE_CHECKING:
    from largebatch.trainers.task import Task

CHECKED_EXAMPLES, CHECKED_NUMBERS = (64, 512), 2**22
"""On how many validation examples an untrained model is tried: in between, as many as hold so many numbers."""


def load_question(study: Study) -> tuple["Task", Target]:
    """The study's task and target, checked."""
    from largebatch.trainers.task import check_options, load_task

    check_options(study.task, study.space.task_options)
    task = load_task(study.task, study.space.typical().task_options)
    target = study.target or task.target
    task.check_target(target)
    _check_start(task, study, target)
    return task, target


def refuse_no_step(study: Study, task: "Task") -> None:
    """Refuse recipes of which a trial could not take a single step: they would use up trials and measure nothing.

    Raises:
        UserError: that names the batch sizes, and the key that is to change.
    """
    largest = batch_without_step(study, task)
    if largest is None:
        return
    limit = study.budget.examples_per_trial
    if limit is not None:
        raise UserError(
            f"budget.examples_per_trial: {limit:,} examples are less than one step of batch {largest:,}; raise it to "
            f"{largest:,} or more, or leave out the batch"
        )
    raise UserError(
        f"space.global_batch_size: a trial gives up after the {task.max_examples:,} examples that the task says, less "
        f"than one step of batch {largest:,}; raise budget.examples_per_trial to {largest:,} or more, or leave out "
        f"the batch"
    )


def batch_without_step(study: Study, task: "Task") -> int | None:
    """The largest first step of the study's recipes, where it is more than the examples of a trial."""
    space = study.space
    recipes = [space.completed({"global_batch_size": size, "norm_batch_size": norm}) for size, norm in space.batches]
    recipes += [space.completed(values) for values in study.first_trials]
    largest = max(recipe.first_batch_size for recipe in recipes)
    return largest if largest > (study.budget.examples_per_trial or task.max_examples) else None


def _check_start(task: "Task", study: Study, target: Target) -> None:
    """Refuse a target that the untrained model meets, on a few validation examples."""
    import torch

    from largebatch.trainers.data.batch_tree import collated, tensors
    from largebatch.trainers.training import Training
    from largebatch.trainers.workers.failure import fenced

    recipe = Recipe(global_batch_size=study.space.batch_sizes[0], learning_rate=1.0)
    with fenced(study.task):
        training = Training(task, recipe, max_examples=1, device=torch.device("cpu"))
        size = sum(tensor.numel() for tensor in tensors(collated([task.validation_data[0]])[0]))
        fewest, most = CHECKED_EXAMPLES
        limit = min(max(CHECKED_NUMBERS // max(1, size), fewest), most)  # for this runs on the processor
        value = training.evaluate(limit=limit)[target.metric]
    if target.reached(value):
        raise UserError(
            f"target: {target} is met before training (an untrained model has {target.metric} {value:.4g}); "
            f"choose a harder target"
        )
