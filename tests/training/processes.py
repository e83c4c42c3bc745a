"""Real processes of one gloo group, for tests."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

DEADLINE_SECONDS = 300
Work = Callable[[int, int, Path], Any]


def in_processes(work: Work, num_processes: int, folder: Path) -> list[Any]:
    """Call ``work(rank, num_processes, folder)`` in so many processes; return what each gave, by rank."""
    mp.set_forkserver_preload(["largebatch.trainers.training"])  # torch once, not once a process
    context = mp.start_processes(
        _process, (num_processes, str(folder), work), num_processes, join=False, start_method="forkserver"
    )
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not context.join(timeout=5):
        if time.monotonic() > deadline:
            for process in context.processes:
                process.kill()
            pytest.fail("a rank hangs")
    return [torch.load(_file(folder, num_processes, rank), weights_only=True) for rank in range(num_processes)]


def _process(rank: int, num_processes: int, folder: str, work: Work) -> None:
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet-{num_processes}"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=num_processes)
    torch.save(work(rank, num_processes, Path(folder)), _file(Path(folder), num_processes, rank))
    dist.barrier()  # gloo may crash a process whose peer has left ...
    os._exit(0)  # ... or one that tears its threads down in an interpreter that ends


def _file(folder: Path, num_processes: int, rank: int) -> Path:
    return folder / f"{num_processes}-{rank}.pt"
