"""Timing of steps on the devices at hand: what the step-time law is fitted to.

Compute alone is timed on all devices at once, as in a real step, for devices of one machine share its memory and
power. The repeats are means over enough steps to be above the clock's noise.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from largebatch.spaces.execution import Execution
from largebatch.spaces.files import write_whole
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_times import ComputeTime, InputTime, StepTime, StepTimeProfile
from largebatch.trainers.data.loader import Groups, Loader
from largebatch.trainers.data.micro_batch import MicroBatch, is_out_of_memory
from largebatch.trainers.device_name import device_name
from largebatch.trainers.profiling.repeats import repeated_seconds
from largebatch.trainers.profiling.sum_timing import ranks_of_nodes, time_sums
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.training import Training
from largebatch.trainers.workers.failure import contained


def profile_steps(
    task_name: str, task: Task, recipe: Recipe, local_batch_sizes: Sequence[int], device: torch.device,
    execution: Execution, node: int = 0,
) -> StepTimeProfile:  # fmt: skip
    """Time compute, whole steps and sums over the processes of this group (or this process alone).

    Every process of the group calls it with the same arguments, but for ``node``, a number of the node that it is on.
    ``recipe`` gives all but batch size and workers; ``local_batch_sizes`` must suit its ``norm_batch_size``.
    """
    num_devices = dist.get_world_size() if dist.is_initialized() else 1
    nodes = ranks_of_nodes(node, device) if num_devices > 1 else [[0]]
    per_node = max(map(len, nodes))
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
    repeated_seconds(largest.train_step, device)  # by then the machine has settled after what ran before
    compute, steps = [], []
    num_bytes = 4
    for size in sorted(set(local_batch_sizes)):
        alone = training(size, 1)
        num_bytes = alone.num_summed_bytes
        compute.append(ComputeTime(local_batch_size=size, seconds=repeated_seconds(alone.train_step, device)))
        if num_devices > 1:
            together = training(size, num_devices)
            seconds = repeated_seconds(together.train_step, device)
            steps.append(
                StepTime(num_workers=num_devices, local_batch_size=size, seconds=seconds, workers_per_node=per_node)
            )
    return StepTimeProfile(
        device=device_name(device),
        num_bytes=num_bytes,
        micro_batch_size=micro_batch.size,
        has_batch_statistics=largest.has_batch_statistics,
        compute=tuple(compute),
        input=_input_time(task, recipe, max(local_batch_sizes), device, execution),
        steps=tuple(steps),
        all_reduce=time_sums(nodes, num_bytes, device) if num_devices > 1 else (),
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
        return InputTime(local_batch_size=size, seconds=repeated_seconds(lambda: loader.take(next(coming)), device))
    finally:
        loader.close()


def serve_profile(config: Mapping[str, Any]) -> None:
    """What each worker of a group runs to profile; rank 0 writes the profile to ``config['path']``."""
    import ray
    from ray.train.torch import get_device

    torch.set_num_threads(config["threads"])
    recipe = Recipe.model_validate(config["recipe"])
    with contained():
        profile = profile_steps(
            config["task"],
            load_task(config["task"], recipe.task_options),
            recipe,
            config["local_batch_sizes"],
            get_device(),
            Execution.model_validate(config["execution"]),
            node=int(ray.get_runtime_context().get_node_id()[:15], 16),
        )
    if dist.get_rank() == 0:
        write_whole(Path(config["path"]), profile.model_dump_json(indent=1))
