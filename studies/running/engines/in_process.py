"""The engine without Ray: one trial after the other in this process, the same loop, the same record."""

from collections.abc import Callable, Sequence

import torch

from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.trial import Action, Ending, Measurement, Outcome, Trial
from largebatch.studies.running.interruption import Leaving
from largebatch.studies.running.trial_source import Decider
from largebatch.trainers.profiling.step_timing import profile_steps
from largebatch.trainers.task import load_task
from largebatch.trainers.workers.failure import describe, failed, fenced
from largebatch.trainers.workers.mailbox import Job
from largebatch.trainers.workers.run_trial import attempt, attempt_job

POLL_SECONDS = 0.5


def run_in_process(coordinator: Decider, leaving: Leaving) -> None:
    """Run trials until the coordinator has no more; an error inside a training ends that trial as failed.

    Asked to leave, the trial that runs is saved and stays unfinished.
    """
    device = device_here()
    coordinator.refuse_what_cannot_fit(1)
    with leaving.training():
        while not leaving.asked.is_set():
            trial = coordinator.next_trial()
            if trial is None and coordinator.waits:  # for the trials of other jobs
                leaving.check()
                leaving.asked.wait(POLL_SECONDS)
                continue
            if trial is None:
                return
            leaving.running.add(trial.number)
            ending, paused = _train(coordinator, trial, device, leaving)
            leaving.running.discard(trial.number)
            if ending.outcome is Outcome.STOPPED:
                coordinator.stop(trial.number)
            elif ending.outcome is Outcome.PREEMPTED and not paused:
                leaving.saved.add(trial.number)
            else:
                coordinator.end(trial.number, ending)


def profile_in_process(
    task: str, recipe: Recipe, local_batch_sizes: Sequence[int], execution: Execution
) -> StepTimeProfile:
    """Time steps on one device.

    Raises:
        UserError: if the task's own code raises an error.
    """
    loaded = load_task(task, recipe.task_options)
    with fenced(task):
        return profile_steps(task, loaded, recipe, local_batch_sizes, device_here(), execution)


def train_in_process(task: str, job: Job, on_measurement: Callable[[Measurement], None], leaving: Leaving) -> Ending:
    """One training on one device; an error inside it ends it as failed, one of its record is raised."""
    problems: list[Exception] = []

    def told(measurement: Measurement) -> Action:
        try:
            on_measurement(measurement)
        except Exception as problem:
            problems.append(problem)
            return "stop"
        return "go on"

    with leaving.training():
        try:
            ending = attempt_job(job, task, device_here(), told, leaving.asked.is_set)
        except Exception as error:
            ending = failed(describe(error))
    if problems:
        raise problems[0]
    return ending


def device_here() -> torch.device:
    """The GPU of this process, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _train(coordinator: Decider, trial: Trial, device: torch.device, leaving: Leaving) -> tuple[Ending, bool]:
    """How a trial ended, and whether the coordinator told it to pause."""
    problems: list[Exception] = []
    action: Action = "go on"

    def on_measurement(measurement: Measurement) -> Action:
        nonlocal action
        leaving.check()
        leaving.heed(trial.number, measurement)
        try:
            action = coordinator.measure(trial.number, measurement)
        except Exception as problem:  # the record's, not the training's: it ends the study
            problems.append(problem)
            return "stop"
        return action

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
            recorded_examples=trial.recorded_examples,
            leaving=leaving.asked.is_set,
        )
    except Exception as error:
        ending = failed(describe(error))
    if problems:
        raise problems[0]
    return ending, action == "pause"
