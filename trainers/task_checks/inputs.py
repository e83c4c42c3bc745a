"""Whether the model, its loss and its metrics leave a batch as they got it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from largebatch.trainers.data.batch_tree import mapped
from largebatch.trainers.data.evaluation_batches import EvaluationBatches
from largebatch.trainers.data.loader import Loader
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding
from largebatch.trainers.task_checks.same import differing, entries
from largebatch.trainers.task_checks.three_steps import GROUP_EXAMPLES, NUM_GROUPS, as_process

NUM_EXAMPLES = NUM_GROUPS * GROUP_EXAMPLES


def check_inputs(task: Task, device: torch.device) -> Finding:
    """A batch and its outputs, before and after all that is done to them."""
    as_process(0)
    model = task.model().to(device)
    wrong = _changes(task, model.train(), _training_batch(task, device), {"the loss": task.loss})
    metrics = {f"the metric {name}": metric.mean for name, metric in task.all_metrics.items()}
    with torch.no_grad():
        wrong += _changes(task, model.eval(), _validation_batch(task, device), metrics)
    return Finding(
        name="the model leaves its inputs as they are",
        passed=not wrong,
        compared=f"{NUM_EXAMPLES} training and {NUM_EXAMPLES} validation examples before and after the model, the loss "
        f"and each metric; and the outputs before and after these",
        found="; ".join(dict.fromkeys(wrong)) or "inputs, targets and outputs are the same to the bit",
        way_out=""
        if not wrong
        else "change a copy: `x = x * 0.5` for `x.mul_(0.5)`, inplace=False in the layers that get the batch",
    )


def _changes(
    task: Task, model: nn.Module, batch: tuple[Any, Any], functions: dict[str, Callable[[Any, Any], Any]]
) -> list[str]:
    """What changed of one batch, and by what; the batch is a copy, so that nothing is spoilt."""
    mode = "training" if model.training else "evaluation"
    inputs, targets = (mapped(torch.clone, part) for part in batch)
    wrong = []
    outputs = task.forward(model, inputs, targets)
    for part, now, was in (("inputs", inputs, batch[0]), ("targets", targets, batch[1])):
        wrong += [f"the model changes its {part} in {mode} mode"] if differing(now, was) else []
    parts = {"inputs": inputs, "targets": targets, "outputs": outputs}
    for name, function in functions.items():
        before = {part: _kept(value) for part, value in parts.items()}
        function(outputs, targets)
        wrong += [f"{name} changes the {part}" for part in parts if differing(before[part], dict(entries(parts[part])))]
    return wrong


def _kept(value: Any) -> dict[str, Any]:
    """Its values by path, tensors copied."""
    return {name: part.detach().clone() if isinstance(part, Tensor) else part for name, part in entries(value)}


def _training_batch(task: Task, device: torch.device) -> tuple[Any, Any]:
    loader = Loader(task.train_data, 0, device, 0)
    return loader.take(loader.groups(0, NUM_EXAMPLES, GROUP_EXAMPLES, 0, 1))


def _validation_batch(task: Task, device: torch.device) -> tuple[Any, Any]:
    batches = EvaluationBatches(
        task.validation_data, device, size=NUM_EXAMPLES, rank=0, num_devices=1, num_processes=0
    )  # fmt: skip
    return next(iter(batches.batches(min(NUM_EXAMPLES, len(batches)))))
