"""The engine without Ray: one trial after the other in this process, the same loop, the same record."""

import threading
from collections.abc import Callable, Sequence

import torch

from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_time_profile import StepTimeProfile
from largebatch.spaces.trial import Action, Ending, Measurement, Outcome, Trial
from largebatch.studies.engine.coordinator import Coordinator
from largebatch.trainers.attempt import attempt, attempt_job
from largebatch.trainers.failure import describe, failed
from largebatch.trainers.mailbox import Job
from largebatch.trainers.task import load_task
from largebatch.trainers.timing.step_timing import profile_steps


def run_in_process(coordinator: Coordinator) -> None:
    """Run trials until the coordinator has no more; an error inside a training ends that trial as failed."""
    device = device_here()
    coordinator.refuse_what_cannot_fit(1)
    while (trial := coordinator.next_trial()) is not None:
        ending = _train(coordinator, trial, device)
        if ending.outcome is Outcome.STOPPED:
            coordinator.stop(trial.number)
        else:
            coordinator.end(trial.number, ending)


def profile_in_process(
    task: str, recipe: Recipe, local_batch_sizes: Sequence[int], execution: Execution
) -> StepTimeProfile:
    """Time steps on one device."""
    return profile_steps(
        task, load_task(task, recipe.task_options), recipe, local_batch_sizes, device_here(), execution
    )


def train_in_process(
    task: str, job: Job, on_measurement: Callable[[Measurement], None], leaving: threading.Event
) -> Ending:
    """One training on one device."""

    def told(measurement: Measurement) -> Action:
        on_measurement(measurement)
        return "go on"

    return attempt_job(job, task, device_here(), told, leaving.is_set)


def device_here() -> torch.device:
    """The GPU of this process, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _train(coordinator: Coordinator, trial: Trial, device: torch.device) -> Ending:
    problems: list[Exception] = []

    def on_measurement(measurement: Measurement) -> Action:
        try:
            return coordinator.measure(trial.number, measurement)
        except Exception as problem:  # the record's, not the training's: it ends the study
            problems.append(problem)
            return "stop"

    study = coordinator.study
    try:
        ending = attempt(
            load_task(study.task, trial.recipe.task_options),
            study.task,
            trial.recipe,
            coordinator.target,
            max_examples=coordinator.max_examples,
            device=device,
            execution=study.execution,
            on_measurement=on_measurement,
            checkpoint=coordinator.checkpoints.last(trial.number),
            checkpoint_seconds=study.resources.checkpoint_seconds,
        )
    except Exception as error:
        ending = failed(describe(error))
    if problems:
        raise problems[0]
    return ending
