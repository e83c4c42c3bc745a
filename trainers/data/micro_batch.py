"""How many examples fit through a model at once on a device: found by bisection when memory ran out, and remembered.

A smaller micro-batch means more passes and the same mathematics. What was found is kept in the user's cache folder, a
line for each task, device, precision and size of model.
"""

import gc
import json
import os
from collections.abc import Callable
from pathlib import Path

import torch

from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.files import write_whole
from largebatch.spaces.recipe import Recipe
from largebatch.trainers.data.batch_tree import collated, tensors
from largebatch.trainers.device_name import device_name
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training


class MicroBatch:
    """The number of examples of a pass, ``size``, at first the task's or what an earlier training has found.

    Args:
        name: The task's name in the study file.
        task: Whose model.
        device: Where it must fit.
        execution: How it is computed.
    """

    def __init__(self, name: str, task: Task, device: torch.device, execution: Execution) -> None:
        self._task, self._device, self._execution = task, device, execution
        shape = [list(tensor.shape[1:]) for tensor in tensors(collated([task.train_data[0]])[0])]
        precision = execution.precision
        self._key = f"{name} | {device_name(device)} | {precision} | {shape} | at most {task.micro_batch_size}"
        self.size = _remembered().get(self._key, task.micro_batch_size)

    def shrink(self, recipe: Recipe) -> None:
        """Find the largest size below ``size`` at which a step of ``recipe`` fits, and remember it.

        Raises:
            UserError: where not even one group of a model with batch statistics fits, or one example of another.
        """
        unit = recipe.group_size if self._has_batch_statistics(recipe) else 1
        fitting = _largest(lambda count: self._fits(recipe, count * unit, unit), (self.size - 1) // unit)
        if fitting == 0:
            raise UserError(self._refusal(recipe, unit))
        self.size = fitting * unit
        _remember(self._key, self.size)

    def _has_batch_statistics(self, recipe: Recipe) -> bool:
        return self._training(recipe, recipe.group_size, recipe.group_size).has_batch_statistics

    def _training(self, recipe: Recipe, num_examples: int, group_size: int) -> Training:
        changes = {"global_batch_size": num_examples, "norm_batch_size": group_size, "num_workers": 1}
        return Training(
            self._task, recipe.model_copy(update=changes), max_examples=num_examples, device=self._device,
            execution=self._execution, micro_batch_size=num_examples, alone=True,
        )  # fmt: skip

    def _fits(self, recipe: Recipe, num_examples: int, unit: int) -> bool:
        """Whether a step with one pass of so many examples does; where ``unit`` is 1 they are one group."""
        training = None
        try:
            training = self._training(recipe, num_examples, unit if unit > 1 else num_examples)
            for _ in range(2):  # the first step takes one group apart from the others
                training.train_step()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return False
        finally:
            del training
            release_memory()
        return True

    def _refusal(self, recipe: Recipe, unit: int) -> str:
        device = device_name(self._device)
        if unit == 1:
            return f"task: not one example fits on {device}; use a smaller model or a larger device"
        most = _largest(lambda count: count == 1 or self._fits(recipe, count, count), unit - 1)
        if most <= 1:  # a single example has no statistics to share
            return f"task: not two examples fit on {device}; use a smaller model or a larger device"
        return (
            f"norm_batch_size: the {unit} examples that share batch statistics must go through the model in one pass, "
            f"and {most} is the most that fits on {device}; choose norm_batch_size <= {most}"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device or the machine had no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def release_memory() -> None:
    """Give back what a training that ran out of memory held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _largest(fits: Callable[[int], bool], limit: int) -> int:
    """The largest of 0 .. limit that fits, where 0 does and each does whose successor does."""
    low, high = 0, limit + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _cache_file() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "largebatch" / "micro_batch_sizes.json"


def _remembered() -> dict[str, int]:
    try:
        found = dict(json.loads(_cache_file().read_text()))
    except (OSError, ValueError, TypeError):
        return {}
    return {key: size for key, size in found.items() if isinstance(size, int) and size > 0}


def _remember(key: str, size: int) -> None:
    """Best effort: without the file, the next training searches again."""
    path = _cache_file()
    text = json.dumps(_remembered() | {key: size}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError:
        return
