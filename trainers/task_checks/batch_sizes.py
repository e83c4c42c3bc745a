"""Whether a step can be taken at every batch size of a study, with the groups of examples that it takes there."""

from collections.abc import Sequence

import torch

from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.trainers.data.micro_batch import MicroBatch, is_out_of_memory
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding
from largebatch.trainers.task_checks.three_steps import GROUP_EXAMPLES, NUM_GROUPS
from largebatch.trainers.training import Training
from largebatch.trainers.workers.failure import describe


def check_batch_sizes(
    task_name: str, task: Task, recipes: Sequence[Recipe], max_examples: int, device: torch.device, execution: Execution
) -> Finding:
    """One step of one group for each size of groups that ``recipes`` have.

    Raises:
        UserError: after the key of the study file without which the step can be taken.
    """
    micro_batch = MicroBatch(task_name, task, device, execution)
    groups = {recipe.group_size: recipe for recipe in recipes}
    for recipe in groups.values():
        one = _sized(recipe, recipe.group_size, recipe.group_size)
        try:
            _step(task, one, device, execution, micro_batch.size)
        except Exception as error:
            if not is_out_of_memory(error):
                raise _blamed(error, task, recipe, device, execution) from error
            micro_batch.shrink(one)
    sizes = sorted({recipe.global_batch_size for recipe in recipes})
    return Finding(
        name="every batch size can take a step",
        passed=True,
        compared=f"the examples of a trial, {max_examples:,}, with the largest batch; and a step of each size of group",
        found=f"batch {sizes[0]} to {sizes[-1]}: at most {max_examples // sizes[0]:,} to {max_examples // sizes[-1]:,} "
        f"steps, in groups of {' or '.join(map(str, sorted(groups)))}",
    )


def _step(task: Task, recipe: Recipe, device: torch.device, execution: Execution, micro_batch_size: int) -> None:
    training = Training(
        task, recipe, max_examples=task.max_examples, device=device, execution=execution,
        micro_batch_size=micro_batch_size, alone=True,
    )  # fmt: skip
    training.train_step()
    training.close()


def _sized(recipe: Recipe, batch_size: int, group_size: int) -> Recipe:
    return recipe.model_copy(update={"global_batch_size": batch_size, "norm_batch_size": group_size, "num_workers": 1})


def _blamed(
    error: Exception, task: Task, recipe: Recipe, device: torch.device, execution: Execution
) -> Exception:  # fmt: skip
    """The error under the key of the study file that causes it; the error itself where none does.

    Earlier checks took steps of the task, in groups of 8 and with the default execution.
    """
    if isinstance(error, UserError):
        return error
    size = recipe.group_size
    other = _sized(recipe, NUM_GROUPS * GROUP_EXAMPLES, GROUP_EXAMPLES)
    trials = {
        "execution": (_sized(recipe, size, size), Execution()),
        "norm_batch_size" if size < recipe.global_batch_size else "global_batch_size": (other, execution),
    }
    for key, (changed, executed) in trials.items():
        try:
            _step(task, changed, device, executed, task.micro_batch_size)
        except Exception:
            continue
        if key == "execution":
            return UserError(
                f"execution: a step fails with {execution.model_dump(exclude_defaults=True)} and is taken without: "
                f"{describe(error)}; leave out what does not suit this task or device"
            )
        return UserError(
            f"{key}: a group of {size} examples cannot take a step, and groups of {GROUP_EXAMPLES} can: "
            f"{describe(error)}; choose a larger one"
        )
    return error
