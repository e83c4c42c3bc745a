"""The engine without Ray: one trial after the other in this process, the same loop, the same record."""

import torch

from largebatch.spaces.trial import Measurement, Outcome
from largebatch.studies.engine.coordinator import Coordinator
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training, run_to_target


def run_in_process(coordinator: Coordinator, task: Task) -> None:
    """Run trials until the coordinator has no more.."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    while (trial := coordinator.next_trial()) is not None:
        number = trial.number

        def on_measurement(measurement: Measurement, number: int = number) -> bool:
            return coordinator.measure(number, measurement)

        training = Training(task, trial.recipe, max_examples=coordinator.max_examples, device=device)
        ending = run_to_target(
            training,
            coordinator.target,
            on_measurement=on_measurement,
            checkpoint=coordinator.checkpoint(number),
            checkpoint_seconds=coordinator.study.resources.checkpoint_seconds,
        )
        if ending.outcome is Outcome.STOPPED:
            coordinator.stop(number)
        else:
            coordinator.end(number, ending)
