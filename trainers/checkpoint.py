"""Checkpoints: written whole or not at all, while training goes on, and read without running code.

A training has two: ``last``, all that going on needs, and ``best``, the weights of the best evaluation so far.
"""

import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from largebatch.spaces.recipe import Recipe

_OPTIMIZER_COPIES = {"sgd": 1, "nesterov": 1, "adam": 2, "adamw": 2, "lars": 1, "lamb": 2, "muon": 2}
"""Tensors of the weights' size that an optimizer keeps, at most."""


class CheckpointWriter:
    """Writes states to files in a thread of its own, one at a time.

    A file that cannot be written (a full disk) costs the training nothing: the one before stays, and a log line tells.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self.longest_seconds = 0.0
        """Of a save, from its call until all was on disk."""

    def save(self, states: Mapping[Path, Any]) -> None:
        """Copy the states and start to write them; waits for the write before."""
        began = time.monotonic()
        self.wait()
        copies = [(path, copied(state)) for path, state in states.items()]

        def write() -> None:
            _write_all(copies)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)

        self._thread = threading.Thread(target=write, name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until all is on disk."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None


def load_checkpoint(path: Path, device: torch.device) -> Any:
    """A state as it was saved, on ``device``; never unpickles code."""
    return torch.load(path, map_location=device, weights_only=True)


def checkpoint_bytes(model: nn.Module, recipe: Recipe) -> int:
    """What ``last`` and ``best`` of one training take on disk, to a few thousand bytes."""
    weights = sum(t.numel() * t.element_size() for t in (*model.parameters(), *model.buffers()))
    copies = 2 + _OPTIMIZER_COPIES[recipe.optimizer]  # last, best
    if recipe.weight_averaging != "none":
        copies += 1
    if recipe.weight_averaging == "lawa":
        copies += recipe.averaging_evaluations
    return copies * weights


def copied(state: Any) -> Any:
    """The same on the processor, apart from what training goes on to change."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [copied(value) for value in state]
    return state


def _write_all(copies: list[tuple[Path, Any]]) -> None:
    for path, state in copies:
        temporary = path.with_suffix(".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            logging.getLogger(__name__).warning("%s was not written: %s; the one before stays", path, error)
