"""Whether a task's parameters can be trained, and whether those that its model froze stay as they are."""

from collections.abc import Mapping
from typing import Any

import torch

from largebatch.trainers.checkpoint import copied
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding
from largebatch.trainers.task_checks.same import same
from largebatch.trainers.task_checks.three_steps import NUM_STEPS, as_process, small_recipe, small_training


def check_parameters(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """Dense, real ones with a shape, some of them not frozen; the trainer refuses others by name."""
    training = small_training(task, small_recipe(options), device)
    parameters = list(training.model.parameters())
    trained = sum(parameter.requires_grad for parameter in parameters)
    numbers = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return Finding(
        name="the parameters can be trained",
        passed=True,
        compared="kind of every parameter; complex, lazy, sparse or frozen ones alone, or none, would be refused",
        found=f"{trained} of {len(parameters)} tensors, {numbers:,} numbers",
    )


def check_frozen(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """Three steps of AdamW, with weight decay, in every stage."""
    as_process(0)
    frozen = {name for name, parameter in task.model().named_parameters() if not parameter.requires_grad}
    recipe = small_recipe(options, optimizer="adamw", learning_rate=1e-3, weight_decay=0.1, decayed_weights="all")
    training = small_training(task, recipe, device)
    own = dict(training.model.named_parameters())
    before = copied({name: parameter.detach() for name, parameter in own.items()})
    for stage in range(len(task.stages)):
        if stage:
            training._begin_stage(stage)  # its examples may be millions
        for _ in range(NUM_STEPS):
            training.train_step()
    training.close()
    moved = {name for name, parameter in own.items() if not same(before[name], parameter.detach())}
    wrong, still = sorted(moved & frozen), sorted(own.keys() - moved - frozen)
    found = f"{len(frozen)} of {len(own)} are frozen and stay; " if frozen else f"none of {len(own)} is frozen; "
    found += f"{len(moved)} others move" if frozen else f"{len(moved)} move"
    if still:
        found += f", {len(still)} do not, such as {still[0]}"
    return Finding(
        name="frozen parameters stay frozen",
        passed=not wrong,
        compared=f"every parameter before and after {NUM_STEPS} steps of AdamW with weight decay in each of "
        f"{len(task.stages)} stages",
        found=found if not wrong else f"{len(wrong)} of {len(frozen)} frozen ones move, such as {wrong[0]}",
        way_out="" if not wrong else "change no frozen parameter in the model's own code",
    )
