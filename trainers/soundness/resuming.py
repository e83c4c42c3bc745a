"""Whether a training goes on from its checkpoint as if it had never ended."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from largebatch.trainers.checkpoint import CheckpointWriter, load_checkpoint
from largebatch.trainers.soundness.finding import Finding
from largebatch.trainers.soundness.three_steps import as_process, small_recipe, small_training
from largebatch.trainers.task import Task


def check_resume(task: Task, options: Mapping[str, Any], device: torch.device) -> Finding:
    """Two steps, a checkpoint, a third step: there, and in a process that begins from the file."""
    recipe = small_recipe(options, optimizer="adamw", learning_rate=1e-3)
    through = small_training(task, recipe, device)
    writer = CheckpointWriter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "last.pt"
        for _ in range(2):
            through.train_step()
        writer.save({path: through.state()})
        writer.wait()
        num_bytes = path.stat().st_size
        resumed = small_training(task, recipe, device, process=1)
        resumed.load_state(load_checkpoint(path, device))
    for number, training in enumerate((through, resumed)):
        as_process(number)
        training.train_step()
        training.close()
    differing = [
        name
        for (name, one), (_, other) in zip(_entries(through.state()), _entries(resumed.state()), strict=True)
        if not _same(one, other)
    ]
    return Finding(
        name="a checkpoint resumes to the bit",
        passed=not differing,
        found=f"{num_bytes:,} bytes; the step after it is the same"
        if not differing
        else f"after one more step {len(differing)} entries differ, the first {differing[0]}",
        way_out=""
        if not differing
        else "keep what changes while training in parameters and register_buffer, and draw no random numbers of the "
        "process",
    )


def _entries(state: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values inside dicts and lists, by their path."""
    if isinstance(state, dict | list | tuple):
        inner = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in inner:
            yield from _entries(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, state


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one.nan_to_num(), other.nan_to_num())
    return bool(one == other or (one != one and other != other))
