"""Checkpoints: written whole or not at all, while training goes on, and read without running code.

A training has two: ``last``, all that going on needs, and ``best``, the weights of the best evaluation so far. The
first carries its recipe: no other may go on from it.
"""

import errno
import logging
import os
import threading
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import whole_file
from largebatch.spaces.recipe import Recipe
from largebatch.trainers.checkpoint_path import measured_path

_OPTIMIZER_COPIES = {"sgd": 1, "nesterov": 1, "adam": 2, "adamw": 2, "lars": 1, "lamb": 2, "muon": 2}
"""Tensors of the weights' size that an optimizer keeps, at most."""


class CheckpointWriter:
    """Writes states to files in a thread of its own, one at a time.

    A file that cannot be written costs the training nothing: the one before stays, and a log line tells.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._places: dict[Path, os.stat_result] = {}
        self.longest_seconds = 0.0
        """Of a save, from its call until all was on disk."""

    def save(self, states: Mapping[Path, Any], first: Callable[[], None] = lambda: None) -> None:
        """Copy the states and start to write them, after ``first`` has; waits for the write before."""
        began = time.monotonic()
        self.wait()
        copies = [(path, copied(state)) for path, state in states.items()]

        def write() -> None:
            try:
                first()
            except OSError as error:
                _tell_unwritten(next(iter(states)), error)
            else:
                _write_all(copies, self._places)
            self.longest_seconds = max(self.longest_seconds, time.monotonic() - began)

        self._thread = threading.Thread(target=write, name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Wait until all is on disk."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None


class UnusableCheckpoint(UserError):
    """It cannot be read as it was written, or another recipe's training wrote it."""


def load_checkpoint(path: Path, device: torch.device, recipe: Recipe | None = None) -> Any:
    """A state as it was saved, on ``device``; never unpickles code.

    Raises:
        UnusableCheckpoint: if it is damaged, or with ``recipe`` if it is not that recipe's.
        FileNotFoundError: if there is none.
    """
    return _checked(path, device, recipe, mapped=False)


def refuse_unusable(path: Path, recipe: Recipe) -> None:
    """Raise what ``load_checkpoint`` would, without its memory: the tensors stay in the file."""
    _checked(path, torch.device("cpu"), recipe, mapped=True)


def saved_examples(path: Path) -> int | None:
    """After how many examples a state was saved, None where there is none or it cannot be read."""
    try:
        return int(_checked(path, torch.device("cpu"), None, mapped=True)["training"]["examples"])
    except (FileNotFoundError, UnusableCheckpoint, KeyError, TypeError):
        return None


def _checked(path: Path, device: torch.device, recipe: Recipe | None, *, mapped: bool) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:  # torch itself takes a tensor with wrong bits for the true one
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong")
        state = torch.load(path, map_location=device, weights_only=True, mmap=mapped)
    except (FileNotFoundError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # zip, pickle and torch each have their own
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # a disk that does not answer says nothing of the file, which its driver would remove
        why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise UnusableCheckpoint(f"{path} is damaged ({why})") from error
    if recipe is not None and _recipe_of(state) != recipe:
        raise UnusableCheckpoint(f"{path} is of another recipe")
    return state


def branch_checkpoint(source: Path, target: Path, recipe: Recipe) -> None:
    """Write to ``target`` what ``source`` holds, for a training with ``recipe`` to go on from.

    Raises:
        UnusableCheckpoint: if ``source`` is damaged.
        OSError: if it cannot be written.
    """
    state = load_checkpoint(source, torch.device("cpu"))
    progress = {**state["progress"], "measurements": []}
    measured_path(target).unlink(missing_ok=True)
    _write(target, {**state, "recipe": recipe.model_dump(), "progress": progress})


def _recipe_of(state: Any) -> Recipe | None:
    try:
        return Recipe.model_validate(state["recipe"])
    except (ValidationError, KeyError, TypeError):
        return None


def checkpoint_bytes(model: nn.Module, recipe: Recipe) -> int:
    """What ``last`` and ``best`` of one training take on disk, to a few thousand bytes."""
    parameters, buffers = list(model.parameters()), _bytes(list(model.buffers()))
    trained = _bytes([parameter for parameter in parameters if parameter.requires_grad])
    wholes = 2 + (recipe.weight_averaging != "none")  # last, best, average
    total = wholes * (_bytes(parameters) + buffers) + _OPTIMIZER_COPIES[recipe.optimizer] * trained
    if recipe.weight_averaging == "lawa":
        total += recipe.averaging_evaluations * (trained + buffers)
    return total


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def copied(state: Any) -> Any:
    """The same on the processor, apart from what training goes on to change."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True)
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [copied(value) for value in state]
    return state


def _write_all(copies: list[tuple[Path, Any]], places: dict[Path, os.stat_result]) -> None:
    """Write them, into folders that lie where they lay at the first time: what was moved away is not made again."""
    for path, state in copies:
        try:
            above = path.parent.parent
            if not os.path.samestat(places.setdefault(above, above.stat()), above.stat()):
                raise FileNotFoundError(errno.ENOENT, "its directory was replaced by another", str(path))
            path.parent.mkdir(exist_ok=True)
            _write(path, state)
        except Exception as error:  # a full disk; what a model's own state holds and cannot be written
            _tell_unwritten(path, error)


def _tell_unwritten(path: Path, error: Exception) -> None:
    logging.getLogger(__name__).warning("%s was not written: %s; the one before stays", path, error)


def _write(path: Path, state: Any) -> None:
    with whole_file(path) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # what torch makes of a file that cannot be written
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None
