"""Whether the target's metric answers to training, and is not met before it."""

import math
from collections.abc import Mapping
from typing import Any

import torch

from largebatch.spaces.target import Target
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding
from largebatch.trainers.task_checks.three_steps import NUM_STEPS, small_recipe, small_training
from largebatch.trainers.training import Training

RATES = (1e-3, 1e-2, 1e-1, 1.0)
NUM_EXAMPLES = 1024
"""Of the validation set, on which the metric is taken."""


def check_metric(task: Task, options: Mapping[str, Any], target: Target, device: torch.device) -> Finding:
    """The metric before and after three steps, at several learning rates of Adam."""
    before, after = math.nan, {}
    for rate in RATES:
        training = _training(task, options, device, rate)
        before = training.evaluate(limit=NUM_EXAMPLES)[target.metric]
        for _ in range(NUM_STEPS):
            training.train_step()
        training.close()
        after[rate] = training.evaluate(limit=NUM_EXAMPLES)[target.metric]
    return _moves(target, before, after)


def check_start(task: Task, options: Mapping[str, Any], target: Target, device: torch.device) -> Finding:
    """The metric of the untrained model lies within its bounds and does not meet the target."""
    before = _training(task, options, device, RATES[0]).evaluate(limit=NUM_EXAMPLES)[target.metric]
    metric = task.all_metrics[target.metric]
    inside = metric.low <= before <= metric.high
    passed = inside and not target.reached(before)
    way_out = "" if passed else "choose a harder target"
    if not inside:
        way_out = f"{target.metric} is said to lie between {metric.low:g} and {metric.high:g}; fix that, or the metric"
    return Finding(
        name="the target lies ahead",
        passed=passed,
        compared=f"{target.metric} of the first {NUM_EXAMPLES:,} validation examples before any step",
        found=f"an untrained model has {target.metric} {before:.4g}; the target is {target}",
        way_out=way_out,
    )


def _training(task: Task, options: Mapping[str, Any], device: torch.device, rate: float) -> Training:
    recipe = small_recipe(options, optimizer="adamw", learning_rate=rate, weight_averaging="none")
    return small_training(task, recipe, device)


def _moves(target: Target, before: float, after: Mapping[float, float]) -> Finding:
    moved = {rate: value for rate, value in after.items() if value != before and math.isfinite(value)}
    name = f"{target.metric} moves"
    compared = (
        f"the first {NUM_EXAMPLES:,} validation examples before and after {NUM_STEPS} steps, not whether it learns"
    )
    if not moved:
        return Finding(
            name=name,
            passed=False,
            compared=compared,
            found=f"it stays {before:.4g} after {NUM_STEPS} steps at learning rates from {RATES[0]:g} to {RATES[-1]:g}",
            way_out="let it depend on the model's output, and the loss on all weights",
        )
    rate = min(moved, key=lambda rate: target.sign * moved[rate])
    towards = "towards" if target.sign * (moved[rate] - before) < 0 else "so far away from"
    return Finding(
        name=name,
        passed=True,
        compared=compared,
        found=f"{before:.4g} at first, {moved[rate]:.4g} after {NUM_STEPS} steps at learning rate {rate:g} (AdamW), "
        f"{towards} {target.bound:g}",
    )
