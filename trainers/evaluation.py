"""Metrics over the validation set, devices sharing the work."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from largebatch.trainers.batches.evaluation_batches import EvaluationBatches
from largebatch.trainers.task import Metric


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: EvaluationBatches, metrics: Mapping[str, Metric], device: torch.device,
    autocast: AbstractContextManager[Any], *, limit: int | None, num_devices: int,
) -> dict[str, float]:  # fmt: skip
    """Every metric's mean over the first ``limit`` examples, all if None; ``model`` is left in training mode."""
    count = min(len(batches), limit or len(batches))
    sums = torch.zeros(len(metrics), dtype=torch.float64, device=device)
    model.eval()
    with autocast:
        for inputs, targets in batches.batches(count):
            outputs = model(inputs)
            sums += len(inputs) * torch.stack([metric.mean(outputs, targets).double() for metric in metrics.values()])
    model.train()
    if num_devices > 1:
        dist.all_reduce(sums)
    return dict(zip(metrics, (sums / count).tolist(), strict=True))
