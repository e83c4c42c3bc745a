"""Timing of steps on the devices at hand: what the step-time law is fitted to.

Compute alone is timed on all devices at once, as in a real step, for devices of one machine share its memory and
power. The repeats are means over enough steps to be above the clock's noise.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_time_profile import AllReduceTime, ComputeTime, InputTime, StepTime, StepTimeProfile
from largebatch.spaces.whole_file import write_whole
from largebatch.trainers.batches.loader import Groups, Loader
from largebatch.trainers.batches.micro_batch import MicroBatch, is_out_of_memory
from largebatch.trainers.device_name import device_name
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.training import Training

REPEATS = 7
MIN_REPEAT_SECONDS = 0.03
ALL_REDUCE_BYTES = (4, 65_536, 1_048_576, 8_388_608)


def profile_steps(
    task_name: str, task: Task, recipe: Recipe, local_batch_sizes: Sequence[int], device: torch.device,
    execution: Execution,
) -> StepTimeProfile:  # fmt: skip
    """Time compute, whole steps and sums over the processes of this group (or this process alone).

    Every process of the group calls it with the same arguments. ``recipe`` gives all but batch size and workers;
    ``local_batch_sizes`` must suit its ``norm_batch_size``.
    """
    num_devices = dist.get_world_size() if dist.is_initialized() else 1
    micro_batch = MicroBatch(task_name, task, device, execution)

    def training(size: int, num_workers: int) -> Training:
        """One that has taken its first steps, which allocate."""
        changes = {"global_batch_size": size * num_workers, "num_workers": num_workers}
        made = Training(
            task, recipe.model_copy(update=changes), max_examples=task.max_examples, device=device,
            execution=execution, micro_batch_size=micro_batch.size, alone=num_workers == 1,
        )  # fmt: skip
        for _ in range(2):
            made.train_step()
        return made

    try:
        largest = training(max(local_batch_sizes), 1)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        micro_batch.shrink(recipe)
        largest = training(max(local_batch_sizes), 1)
    _time(largest.train_step, device)  # by then the machine has settled after what ran before
    compute, steps = [], []
    num_bytes = 4
    for size in sorted(set(local_batch_sizes)):
        alone = training(size, 1)
        num_bytes = alone.num_summed_bytes
        compute.append(ComputeTime(local_batch_size=size, seconds=_time(alone.train_step, device)))
        if num_devices > 1:
            together = training(size, num_devices)
            seconds = _time(together.train_step, device)
            steps.append(StepTime(num_workers=num_devices, local_batch_size=size, seconds=seconds))
    sums = []
    for size in ALL_REDUCE_BYTES if num_devices > 1 else ():
        values = torch.zeros(size // 4, device=device)
        seconds = _time(lambda values=values: dist.all_reduce(values), device)  # type: ignore[misc]
        sums.append(AllReduceTime(num_workers=num_devices, num_bytes=size, seconds=seconds))
    return StepTimeProfile(
        device=device_name(device),
        num_bytes=num_bytes,
        micro_batch_size=micro_batch.size,
        compute=tuple(compute),
        input=_input_time(task, recipe, max(local_batch_sizes), device, execution),
        steps=tuple(steps),
        all_reduce=tuple(sums),
    )


def _input_time(task: Task, recipe: Recipe, size: int, device: torch.device, execution: Execution) -> InputTime:
    """Of the training examples of steps of ``size``, one after the other."""
    loader = Loader(task.train_data, recipe.seed, device, execution.loader_workers)
    group = min(size, recipe.norm_batch_size)

    def steps() -> Iterator[Groups]:
        return (loader.groups(start, size, group, 0, 1) for start in itertools.count(0, size))

    loader.read_ahead(groups[index : index + 1] for groups in steps() for index in range(len(groups)))
    coming = steps()
    try:
        return InputTime(local_batch_size=size, seconds=_time(lambda: loader.take(next(coming)), device))
    finally:
        loader.close()


def serve_profile(config: Mapping[str, Any]) -> None:
    """What each worker of a group runs to profile; rank 0 writes the profile to ``config['path']``."""
    from ray.train.torch import get_device

    torch.set_num_threads(config["threads"])
    recipe = Recipe.model_validate(config["recipe"])
    profile = profile_steps(
        config["task"],
        load_task(config["task"], recipe.task_options),
        recipe,
        config["local_batch_sizes"],
        get_device(),
        Execution.model_validate(config["execution"]),
    )
    if dist.get_rank() == 0:
        write_whole(Path(config["path"]), profile.model_dump_json(indent=1))


def _time(work: Callable[[], Any], device: torch.device) -> tuple[float, ...]:
    """Mean seconds of ``work`` in each of ``REPEATS`` repeats."""
    began = _now(device)
    work()
    once = max(_now(device) - began, 1e-6)
    # every process must do the same number of calls, or their sums would not meet
    calls = torch.tensor([max(1, min(1000, round(MIN_REPEAT_SECONDS / once)))], device=device)
    if dist.is_initialized() and dist.get_world_size() > 1:
        dist.broadcast(calls, src=0)
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
