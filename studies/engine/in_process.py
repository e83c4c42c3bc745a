"""The engine without Ray: one trial after the other in this process, the same loop, the same record."""

import torch

from largebatch.spaces.trial import Ending, Measurement, Outcome, Trial
from largebatch.studies.engine.coordinator import Coordinator
from largebatch.trainers.failure import describe, failed
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training


def run_in_process(coordinator: Coordinator, task: Task) -> None:
    """Run trials until the coordinator has no more; an error inside a training ends that trial as failed."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    while (trial := coordinator.next_trial()) is not None:
        ending = _train(coordinator, task, trial, device)
        if ending.outcome is Outcome.STOPPED:
            coordinator.stop(trial.number)
        else:
            coordinator.end(trial.number, ending)


def _train(coordinator: Coordinator, task: Task, trial: Trial, device: torch.device) -> Ending:
    problems: list[Exception] = []

    def on_measurement(measurement: Measurement) -> bool:
        try:
            return coordinator.measure(trial.number, measurement)
        except Exception as problem:  # the record's, not the training's: it ends the study
            problems.append(problem)
            return True

    try:
        training = Training(task, trial.recipe, max_examples=coordinator.max_examples, device=device)
        ending = run_to_target(
            training,
            coordinator.target,
            on_measurement=on_measurement,
            checkpoint=coordinator.checkpoint(trial.number),
            checkpoint_seconds=coordinator.study.resources.checkpoint_seconds,
        )
    except Exception as error:
        ending = failed(describe(error))
    if problems:
        raise problems[0]
    return ending
