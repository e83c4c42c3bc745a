"""Whether any split of a batch over virtual workers, in any process, takes the same steps."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from largebatch.spaces.recipe import Recipe
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding
from largebatch.trainers.task_checks.three_steps import (
    GROUP_EXAMPLES,
    NUM_GROUPS,
    NUM_STEPS,
    ThreeSteps,
    small_recipe,
    small_training,
    take_steps,
)

TOLERANCE = 1e-3
"""Relative difference of gradients that rounding may make in three steps; a wrong mean makes a hundred times that."""
STEPS = f"{NUM_STEPS} steps of {NUM_GROUPS * GROUP_EXAMPLES} examples"


def check_finite(task: Task, options: Mapping[str, Any], device: torch.device, notes: list[str]) -> Finding:
    """Losses and gradients of three steps, and every metric of the untrained model."""
    training = small_training(task, small_recipe(options), device)
    values = training.evaluate(limit=512)
    steps = take_steps(training)
    wrong = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    for number, (loss, gradient) in enumerate(zip(steps.losses, steps.gradients, strict=True), start=1):
        wrong += [f"the loss of step {number} is {loss}"] if not math.isfinite(loss) else []
        wrong += [f"a gradient of step {number} is not finite"] if not gradient.isfinite().all() else []
    if not wrong and steps.nothing_to_compare:
        wrong = [steps.nothing_to_compare]
    if min(steps.losses) < 0:
        notes.append(
            f"the loss is negative ({min(steps.losses):.4g}), as that of a likelihood may be: that is no divergence; "
            f"a target on it is `below` a negative number"
        )
    losses = ", ".join(f"{loss:.4g}" for loss in steps.losses)
    return Finding(
        name="losses, gradients and metrics are finite",
        passed=not wrong,
        compared=f"{STEPS} of plain gradient descent, and the metrics of the first 512 validation examples before them",
        found="; ".join(wrong) or f"losses {losses} in {STEPS}",
        way_out="" if not wrong else "look for a log or a division of zero, and for a loss that no weight reaches",
    )


def check_randomness(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """Two processes whose own generators stand elsewhere take the same steps."""
    recipe = small_recipe(options)
    one, other = (take_steps(small_training(task, recipe, device, process=number)) for number in (1, 2))
    difference = one.difference(other)
    passed = None if one.nothing_to_compare else difference < TOLERANCE
    return Finding(
        name="what is random belongs to examples, not to processes",
        passed=passed,
        compared=f"gradients of {STEPS}, twice in this process, with Python's, numpy's and torch's generators seeded "
        f"apart",
        found=one.nothing_to_compare
        or f"two processes with other generators differ by {difference:.1e} of the gradient",
        way_out=""
        if passed is not False
        else "draw from `random` in augment, with nn.Dropout or torch's generator in the model (numpy's and Python's "
        "only in data sets), and build the model from torch's generator alone",
    )


def check_splits(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """One pass with all virtual workers, two with half of them each, and four."""
    name = "virtual workers are exact: 1, 2 and 4 take the same steps"
    recipe = small_recipe(options)
    whole, still = take_steps(small_training(task, recipe, device)), ""
    if _draws_itself(whole):  # a group goes through it at a time in every split: a sum compared with itself
        for still in ("submodules", "model"):
            if (found := _undisturbed(task, recipe, device, still)) is not None:
                whole = found
                break
        else:
            return Finding(
                name=name,
                passed=None,
                found=f"the model draws random numbers itself, in evaluation mode too, so that each group of "
                f"{GROUP_EXAMPLES} examples goes through it alone in any split: whether the loss is a mean over "
                f"examples was not seen",
            )
    sizes = {count: recipe.global_batch_size // count for count in (2, NUM_GROUPS)}
    if not whole.training.has_batch_statistics:
        sizes[2 * NUM_GROUPS] = GROUP_EXAMPLES // 2
    differences = {
        count: whole.difference(take_steps(small_training(task, recipe, device, micro_batch_size=size, still=still)))
        for count, size in sizes.items()
    }
    passed = None if whole.nothing_to_compare else max(differences.values()) < TOLERANCE
    said = ", ".join(f"{value:.1e} in {count}" for count, value in differences.items())
    return Finding(
        name=name,
        passed=passed,
        compared=f"gradients of {STEPS}, in one part and in {', '.join(map(str, sizes))}, in this process"
        + (f"; with the {still} in evaluation mode, for the model draws random numbers itself" if still else ""),
        found=whole.nothing_to_compare or f"gradients differ from those of one part by {said}",
        way_out=""
        if passed is not False
        else "the loss must be the mean over examples (no sum, no mean over a varying number of tokens), and no layer "
        "but batch normalisation may mix examples or keep something from one pass to the next",
    )


def _draws_itself(steps: ThreeSteps) -> bool:
    return bool(steps.training.state()["draws_itself"])


def _undisturbed(task: Task, recipe: Recipe, device: torch.device, still: str) -> ThreeSteps | None:
    """Steps without the model's own draws; None where it cannot be trained in evaluation mode, or draws even then."""
    try:
        steps = take_steps(small_training(task, recipe, device, still=still))
    except Exception:
        return None
    return None if _draws_itself(steps) else steps
