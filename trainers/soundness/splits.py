"""Whether any split of a batch over virtual workers, in any process, takes the same steps."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from largebatch.trainers.soundness.finding import Finding
from largebatch.trainers.soundness.three_steps import (
    GROUP_EXAMPLES,
    NUM_GROUPS,
    NUM_STEPS,
    small_recipe,
    small_training,
    take_steps,
)
from largebatch.trainers.task import Task

TOLERANCE = 1e-3
"""Relative difference of gradients that rounding may make in three steps; a wrong mean makes a hundred times that."""


def check_finite(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """Losses and gradients of three steps, and every metric of the untrained model."""
    training = small_training(task, small_recipe(options), device)
    values = training.evaluate(limit=512)
    steps = take_steps(training)
    wrong = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    for number, (loss, gradient) in enumerate(zip(steps.losses, steps.gradients, strict=True), start=1):
        wrong += [f"the loss of step {number} is {loss}"] if not math.isfinite(loss) else []
        wrong += [f"a gradient of step {number} is not finite"] if not gradient.isfinite().all() else []
    if not wrong and all(gradient.norm() == 0 for gradient in steps.gradients):
        wrong = ["every gradient is zero"]
    losses = ", ".join(f"{loss:.4g}" for loss in steps.losses)
    return Finding(
        name="losses, gradients and metrics are finite",
        passed=not wrong,
        found="; ".join(wrong) or f"losses {losses} in {NUM_STEPS} steps of {NUM_GROUPS * GROUP_EXAMPLES} examples",
        way_out="" if not wrong else "look for a log or a division of zero, and for a loss that no weight reaches",
    )


def check_randomness(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """Two processes whose own generators stand elsewhere take the same steps."""
    recipe = small_recipe(options)
    one, other = (take_steps(small_training(task, recipe, device, process=number)) for number in (1, 2))
    difference = one.difference(other)
    return Finding(
        name="what is random belongs to examples, not to processes",
        passed=difference < TOLERANCE,
        found=f"two processes with other generators differ by {difference:.1e} of the gradient",
        way_out=""
        if difference < TOLERANCE
        else "draw from `random` in augment, with nn.Dropout or torch's generator in the model (numpy's and Python's "
        "only in data sets), and build the model from torch's generator alone",
    )


def check_splits(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """One pass with all virtual workers, two with half of them each, and four."""
    recipe = small_recipe(options)
    whole = take_steps(small_training(task, recipe, device))
    sizes = {count: recipe.global_batch_size // count for count in (2, NUM_GROUPS)}
    may_cut = not whole.training.has_batch_statistics and not whole.training.state()["draws_itself"]
    if may_cut:
        sizes[2 * NUM_GROUPS] = GROUP_EXAMPLES // 2
    differences = {
        count: whole.difference(take_steps(small_training(task, recipe, device, micro_batch_size=size)))
        for count, size in sizes.items()
    }
    passed = max(differences.values()) < TOLERANCE
    said = ", ".join(f"{value:.1e} in {count}" for count, value in differences.items())
    return Finding(
        name="virtual workers are exact: 1, 2 and 4 take the same steps",
        passed=passed,
        found=f"gradients differ from those of one part by {said}",
        way_out=""
        if passed
        else "the loss must be the mean over examples (no sum, no mean over a varying number of tokens), and no layer "
        "but batch normalisation may mix examples or keep something from one pass to the next",
    )
