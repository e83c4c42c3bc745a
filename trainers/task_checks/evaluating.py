"""Whether an evaluation gives the same twice and leaves the model as it is."""

from collections.abc import Mapping
from typing import Any

import torch

from largebatch.trainers.checkpoint import copied
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding
from largebatch.trainers.task_checks.learning import NUM_EXAMPLES
from largebatch.trainers.task_checks.same import differing
from largebatch.trainers.task_checks.three_steps import as_process, small_recipe, small_training

TOLERANCE = 1e-5
"""Relative difference that the order of a GPU's sums may make."""


def check_evaluation(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """Two evaluations of one model, the generators seeded apart."""
    training = small_training(task, small_recipe(options), device)
    before = copied(training.model.state_dict())
    values = []
    for process in (1, 2):
        as_process(process)
        values.append(training.evaluate(limit=NUM_EXAMPLES))
    one, other = values
    apart = {name: abs(one[name] - other[name]) for name in one}
    wrong = [
        f"{name} is {one[name]:.6g}, then {other[name]:.6g}"
        for name, difference in apart.items()
        if difference > TOLERANCE * abs(one[name])
    ]
    wrong += [
        f"an evaluation changes {name} of the model" for name in differing(before, training.model.state_dict())[:1]
    ]
    return Finding(
        name="evaluating twice gives the same",
        passed=not wrong,
        compared=f"every metric of the first {NUM_EXAMPLES:,} validation examples, twice with generators seeded apart; "
        f"and the model's state before and after",
        found="; ".join(wrong) or ", ".join(f"{name} {value:.6g}" for name, value in one.items()),
        way_out=""
        if not wrong
        else "in evaluation mode (model.training is False) drop, draw and count nothing, and let metrics draw nothing",
    )
