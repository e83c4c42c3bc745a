"""Repeated timing of a piece of work that all processes of a group do together."""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

REPEATS = 7
MIN_REPEAT_SECONDS = 0.03


def repeated_seconds(work: Callable[[], Any], device: torch.device, group: Any = None) -> tuple[float, ...]:
    """Mean seconds of ``work`` in each of ``REPEATS`` repeats; ``group`` (by default all) do it together."""
    began = _now(device)
    work()
    once = max(_now(device) - began, 1e-6)
    # every process must do the same number of calls, or their sums would not meet
    calls = torch.tensor([max(1, min(1000, round(MIN_REPEAT_SECONDS / once)))], device=device)
    if dist.is_initialized() and dist.get_world_size(group) > 1:
        dist.broadcast(calls, src=0 if group is None else dist.get_global_rank(group, 0), group=group)
    repeats = []
    for _ in range(REPEATS):
        began = _now(device)
        for _ in range(int(calls.item())):
            work()
        repeats.append(max((_now(device) - began) / int(calls.item()), 1e-9))
    return tuple(repeats)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
