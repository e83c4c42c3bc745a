"""Whether a training goes on from its checkpoint as if it had never ended."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from largebatch.trainers.checkpoint import CheckpointWriter, copied, load_checkpoint
from largebatch.trainers.task import Task
from largebatch.trainers.task_checks.finding import Finding
from largebatch.trainers.task_checks.same import differing
from largebatch.trainers.task_checks.three_steps import as_process, small_recipe, small_training

NAME = "a checkpoint resumes to the bit"


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
    saved = copied(through.state()["model"])
    for number, training in enumerate((through, resumed)):
        as_process(number)
        training.train_step()
        training.close()
    compared = (
        "weights, statistics and optimizer state after a third step of AdamW: once straight on, once from the file in "
        "a training whose generators are seeded apart; in this process, on one device"
    )
    if not differing(saved, through.state()["model"]):
        return Finding(name=NAME, passed=None, compared=compared, found="the step after the checkpoint changes nothing")
    wrong = differing(through.state(), resumed.state())
    return Finding(
        name=NAME,
        passed=not wrong,
        compared=compared,
        found=f"{num_bytes:,} bytes; the step after it is the same"
        if not wrong
        else f"after one more step {len(wrong)} entries differ, the first {wrong[0]}",
        way_out=""
        if not wrong
        else "keep what changes while training in parameters and register_buffer, and draw no random numbers of the "
        "process",
    )
