"""Metrics over the validation set, devices sharing the work."""

from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from largebatch.trainers.data.batch_tree import length
from largebatch.trainers.data.evaluation_batches import EvaluationBatches
from largebatch.trainers.task import Task


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: EvaluationBatches, task: Task, device: torch.device,
    autocast: AbstractContextManager[Any], *, limit: int | None, num_devices: int,
) -> dict[str, float]:  # fmt: skip
    """Every metric's mean over the first ``limit`` examples, all if None; ``model`` is left in training mode."""
    metrics = task.all_metrics
    count = min(len(batches), limit or len(batches))
    sums = torch.zeros(len(metrics), dtype=torch.float64, device=device)
    model.eval()
    with autocast:
        for inputs, targets in batches.batches(count):
            outputs = task.forward(model, inputs, targets)
            means = [metric.mean(outputs, targets).double() for metric in metrics.values()]
            sums += length(inputs) * torch.stack(means).to(device)
    model.train()
    if num_devices > 1:
        dist.all_reduce(sums)
    return dict(zip(metrics, (sums / count).tolist(), strict=True))
