"""One long training, outside of a study, on a warm group under Ray."""

from collections.abc import Callable

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Measurement
from largebatch.studies.running.interruption import Leaving
from largebatch.trainers.workers.mailbox import Job

OnMeasurement = Callable[[Measurement], None]
MAX_RESTARTS = 100
"""Deaths of workers that the training survives, each from the last checkpoint; three without progress end it."""


def train_with_ray(
    task_name: str, job: Job, num_groups: int, on_measurement: OnMeasurement, leaving: Leaving
) -> tuple[Ending, int]:
    """Train on as many devices as there are and the recipe's ``num_groups`` can be dealt to; return their number too.

    Must be called inside ``ray_cluster``.
    """
    import ray

    from largebatch.studies.running.engines.devices import num_devices_at_hand, threads_per_worker
    from largebatch.studies.running.engines.ray_tune import storage_folder
    from largebatch.trainers.workers.mailbox import PLACES, Mailbox
    from largebatch.trainers.workers.worker_group import WarmGroup, serve_trials

    workers, total = int(job.recipe["num_workers"]), num_devices_at_hand()
    num_devices = max(count for count in range(1, min(workers, total) + 1) if num_groups % count == 0)
    mailbox = ray.remote(num_cpus=0, max_concurrency=PLACES)(Mailbox).remote()
    config = {
        "mailbox": mailbox, "task": task_name, "threads": threads_per_worker(num_devices), "group": 0,
        "options": Recipe.model_validate(job.recipe).task_options,
    }  # fmt: skip
    with storage_folder() as storage:
        group = WarmGroup(
            "train", serve_trials, config, num_devices=num_devices, share=1, max_restarts=MAX_RESTARTS, storage=storage
        )
        ray.get(mailbox.submit.remote(job))
        ending = None
        with leaving.training(mailbox.leave.remote):
            while ending is None:
                news = mailbox.next_event.remote(job.number)
                while not ray.wait([news], timeout=0.2)[0]:
                    leaving.check()
                event = ray.get(news)
                for measurement in event.measurements:
                    on_measurement(measurement)
                ending = event.ending
        if not leaving.asked.is_set():  # else Ray's end is the group's
            ray.get(mailbox.close.remote(0))
            group.wait()
    return ending, num_devices
