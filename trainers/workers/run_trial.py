"""One trial on this process and its group, again with smaller passes where memory ran out."""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist

from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Ending, Measurement
from largebatch.trainers.data.micro_batch import MicroBatch, is_out_of_memory, release_memory
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.training import Training
from largebatch.trainers.workers.failure import contained
from largebatch.trainers.workers.mailbox import Job


@contained()
def attempt(
    task: Task,
    task_name: str,
    recipe: Recipe,
    target: Target,
    *,
    max_examples: int,
    device: torch.device,
    execution: Execution,
    on_measurement: Callable[[Measurement], Action],
    checkpoint: Path | None,
    checkpoint_seconds: float,
    recorded_examples: int,
    past_target: bool = False,
    leaving: Callable[[], bool] = lambda: False,
) -> Ending:
    """Train ``recipe`` to ``target``, from its checkpoint if there is one; see ``run_to_target``.

    When a device runs out of memory, the largest pass that fits is found and the training goes on with it from its last
    checkpoint. Over several devices the error is raised, for the others wait: the new group finds the size remembered.

    Raises:
        UserError: if the examples that share batch statistics do not fit.
    """
    micro_batch = MicroBatch(task_name, task, device, execution)
    while True:
        training = None
        try:
            training = Training(
                task, recipe, max_examples=max_examples, device=device, execution=execution,
                micro_batch_size=micro_batch.size, leaving=leaving,
            )  # fmt: skip
            return run_to_target(
                training, target, on_measurement=on_measurement, checkpoint=checkpoint,
                checkpoint_seconds=checkpoint_seconds, past_target=past_target,
                recorded_examples=recorded_examples,
            )  # fmt: skip
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            problem = str(error)
        del training
        release_memory()
        micro_batch.shrink(recipe)
        if dist.is_initialized() and dist.get_world_size() > 1:
            raise RuntimeError(f"out of memory ({problem}); passes of {micro_batch.size} examples fit")


def attempt_job(
    job: Job,
    task_name: str,
    device: torch.device,
    on_measurement: Callable[[Measurement], Action],
    leaving: Callable[[], bool],
) -> Ending:
    """``attempt`` what a job says."""
    recipe = Recipe.model_validate(job.recipe)
    return attempt(
        load_task(task_name, recipe.task_options),
        task_name,
        recipe,
        Target.model_validate(job.target),
        max_examples=job.max_examples,
        device=device,
        execution=Execution.model_validate(job.execution),
        on_measurement=on_measurement,
        checkpoint=Path(job.checkpoint),
        checkpoint_seconds=job.checkpoint_seconds,
        recorded_examples=job.recorded_examples,
        past_target=job.past_target,
        leaving=leaving,
    )
