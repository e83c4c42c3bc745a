"""What every task that ships promises; a new one in ``TASKS`` is found here. Those without their data are skipped."""

import math

import pytest
import torch

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.user_mistake import UserMistake
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.tasks import TASKS
from largebatch.trainers.training import Training

PAPER_SIZE = ("galaxies", "gw", "imagenet")
"""Too large for a test; each is the same code as its small one, or has tests of its own."""
SMALL = [name for name in TASKS if name not in PAPER_SIZE]
each = pytest.mark.parametrize("name", SMALL)


def load(name: str) -> Task:
    try:
        return load_task(name, {})
    except UserMistake as error:
        pytest.skip(str(error))


def trained(task: Task, micro_batch_size: int, steps: int) -> Training:
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


def weights(training: Training) -> torch.Tensor:
    return torch.cat([parameter.detach().double().flatten() for parameter in training.model.parameters()])


@each
def test_the_target_can_be_met_and_is_not_met_before_training(name: str) -> None:
    task = load(name)
    task.check_target(task.target)
    values = trained(task, 32, steps=0).evaluate()
    assert all(math.isfinite(value) for value in values.values()), values
    assert not task.target.reached(values[task.target.metric])
    assert 0 < task.evaluation_examples <= task.max_examples


@each
def test_virtual_workers_are_exact(name: str) -> None:
    """A group a pass and all groups in one pass: the same weights but for rounding."""
    task = load(name)
    before, one, four = (weights(trained(task, size, steps)) for size, steps in ((32, 0), (8, 1), (32, 1)))
    moved, apart = ((one - other).abs().max().item() for other in (before, four))
    assert moved > 0
    assert apart < 1e-3 * moved, (apart, moved)
