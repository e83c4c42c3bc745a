"""What every task promises."""

import math
from collections.abc import Callable, Mapping

import torch

from largebatch.spaces.recipe import Recipe
from largebatch.testing.expect import expect
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training


def check_task(task: Task) -> None:
    """Put a task through all of ``TASK_CHECKS``; it is trained for three steps of 32 examples on the processor."""
    for check in TASK_CHECKS.values():
        check(task)


def _trained(task: Task, micro_batch_size: int, steps: int) -> Training:
    """Steps of 4 groups of 8."""
    recipe = Recipe(
        global_batch_size=32, learning_rate=1e-3, norm_batch_size=8, optimizer="sgd", weight_averaging="none"
    )
    training = Training(
        task, recipe, max_examples=10_000, device=torch.device("cpu"), micro_batch_size=micro_batch_size
    )
    for _ in range(steps):
        training.train_step()
    training.close()
    return training


def _weights(training: Training) -> torch.Tensor:
    return torch.cat([parameter.detach().double().flatten() for parameter in training.model.parameters()])


def _check_target(task: Task) -> None:
    """The target can be met and is not met before training; metrics are finite."""
    task.check_target(task.target)
    values = _trained(task, 32, steps=0).evaluate()
    odd = {name: value for name, value in values.items() if not math.isfinite(value)}
    expect(not odd, f"every metric must be finite before training; got {odd}")
    at_first = values[task.target.metric]
    expect(
        not task.target.reached(at_first),
        f"the target {task.target} must not be met before training; {task.target.metric} is {at_first:.6g} then",
    )
    expect(
        0 < task.evaluation_examples <= task.max_examples,
        f"evaluation_examples must be from 1 to max_examples {task.max_examples}; got {task.evaluation_examples}",
    )


def _check_virtual_workers(task: Task) -> None:
    """A group a pass and all groups in one pass: the same weights but for rounding."""
    before, one, four = (_weights(_trained(task, size, steps)) for size, steps in ((32, 0), (8, 1), (32, 1)))
    moved, apart = ((one - other).abs().max().item() for other in (before, four))
    expect(moved > 0, "a step must move the weights; it moved none")
    expect(
        apart < 1e-3 * moved,
        f"a batch taken 8 examples a pass must give the weights of one taken whole; a step moves them by {moved:.3g}, "
        f"and they differ by {apart:.3g}: does the model or the loss look at other examples than its own?",
    )


TASK_CHECKS: Mapping[str, Callable[[Task], None]] = {
    "the target can be met and is not met before training": _check_target,
    "virtual workers are exact": _check_virtual_workers,
}
