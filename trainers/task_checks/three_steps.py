"""Three training steps of a task on small batches, in any split, as any process would take them."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from largebatch.spaces.recipe import Recipe
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

NUM_STEPS = 3
NUM_GROUPS, GROUP_EXAMPLES = 4, 8
"""Virtual workers of the steps, and examples of each."""
LEARNING_RATE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreeSteps:
    """Losses and flat gradients, one a step; what the training still is good for."""

    losses: list[float]
    gradients: list[Tensor]
    training: Training

    @property
    def nothing_to_compare(self) -> str:
        """Why two such trainings would agree, or differ, whatever they do; empty where they need not."""
        if not all(map(math.isfinite, self.losses)) or not all(one.isfinite().all() for one in self.gradients):
            return "losses or gradients are not finite"
        return "every gradient is zero" if all(one.norm() == 0 for one in self.gradients) else ""

    def difference(self, other: "ThreeSteps") -> float:
        """The largest relative difference of a step's gradient or loss."""
        pairs = [(a.double(), b.double()) for a, b in zip(self.gradients, other.gradients, strict=True)]
        gradients = [_ratio((a - b).norm().item(), a.norm().item()) for a, b in pairs]
        losses = [_ratio(abs(a - b), abs(a)) for a, b in zip(self.losses, other.losses, strict=True)]
        return max([*gradients, *losses])


def small_recipe(options: Mapping[str, Any], **changes: Any) -> Recipe:
    """Plain gradient descent on a global batch of four virtual workers."""
    fields = {
        "global_batch_size": NUM_GROUPS * GROUP_EXAMPLES, "norm_batch_size": GROUP_EXAMPLES, "optimizer": "sgd",
        "momentum": 0.0, "learning_rate": LEARNING_RATE,
    }  # fmt: skip
    return Recipe.model_validate({**fields, **{f"task.{name}": value for name, value in options.items()}, **changes})


def small_training(
    task: Task, recipe: Recipe, device: torch.device, *, micro_batch_size: int | None = None, process: int = 0,
    still: str = "",
) -> Training:  # fmt: skip
    """A training as a process would begin it whose own generators stand at ``process``.

    ``still`` puts its ``submodules``, or the whole ``model``, in evaluation mode, so that dropout drops nothing.
    """
    as_process(process)
    training = Training(
        task, recipe, max_examples=100 * recipe.global_batch_size, device=device, alone=True,
        micro_batch_size=micro_batch_size or recipe.global_batch_size,
    )  # fmt: skip
    if still:
        training.model.eval().training = still != "model"
    as_process(process)
    return training


def take_steps(training: Training) -> ThreeSteps:
    """Take three steps."""
    losses, gradients = [], []
    for _ in range(NUM_STEPS):
        losses.append(training.train_step().item())
        flat = [p.grad.detach().flatten() for p in training.model.parameters() if p.grad is not None]
        gradients.append(torch.cat(flat).cpu())
    training.close()
    return ThreeSteps(losses=losses, gradients=gradients, training=training)


def as_process(number: int) -> None:
    """Put the generators of this process where another process might have them."""
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def _ratio(difference: float, size: float) -> float:
    return 0.0 if difference == 0 else difference / max(size, 1e-30)
