"""Warm worker groups: Ray Train runs that are started once and serve trial after trial.

Ray Train restarts its workers for every run, which costs 10 to 20 seconds a trial. A group here is one Ray Train run
whose training function takes jobs from the mailbox until it is told to quit; only the recipe is new.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Action, Ending, Measurement, Outcome
from largebatch.trainers.workers.failure import contained, describe, failed
from largebatch.trainers.workers.mailbox import NOTHING_YET, Job


class WarmGroup:
    """One Ray Train run of ``num_devices`` workers, on GPUs where Ray has them, that goes on until its work returns.

    Args:
        name: Its name in Ray.
        work: What each worker runs with ``config``.
        config: Plain values and actor handles.
        num_devices: Workers of the group.
        share: Groups that share one device.
        max_restarts: How often Ray Train starts the group again when a worker dies.
        storage: Folder for what Ray Train writes.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Mapping[str, Any]], None],
        config: Mapping[str, Any],
        *,
        num_devices: int,
        share: int,
        max_restarts: int,
        storage: Path,
    ) -> None:
        use_gpu = ray.cluster_resources().get("GPU", 0) > 0
        trainer = TorchTrainer(
            work,
            train_loop_config=dict(config),
            torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=num_devices,
                use_gpu=use_gpu,
                resources_per_worker={"GPU" if use_gpu else "CPU": 1 / share},
            ),
            run_config=RunConfig(
                name=name, storage_path=str(storage), failure_config=FailureConfig(max_failures=max_restarts)
            ),
        )
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(trainer,), daemon=True, name=name)
        self._thread.start()

    def _run(self, trainer: TorchTrainer) -> None:
        try:
            trainer.fit()
        except BaseException as error:
            self._error = error

    @property
    def alive(self) -> bool:
        """Whether its work goes on, or will."""
        return self._thread.is_alive()

    def wait(self) -> None:
        """Wait until the work has returned.

        Raises:
            Exception: that Ray Train raised.
        """
        self._thread.join()
        if self._error is not None:
            raise self._error


def serve_trials(config: Mapping[str, Any]) -> None:
    """What each worker of a group runs: take a job, train it, tell, take the next."""
    import torch
    import torch.distributed as dist
    from ray.train.torch import get_device

    from largebatch.trainers.task import load_task
    from largebatch.trainers.training import Training

    torch.set_num_threads(config["threads"])
    group, mailbox = config["group"], config["mailbox"]
    try:
        task = load_task(config["task"], config["options"])
        recipe = Recipe(global_batch_size=1, learning_rate=1.0)
        with contained():
            Training(task, recipe, max_examples=1, device=get_device())  # imports what the first trial would wait for
    except Exception as error:
        ray.get(mailbox.lose.remote(group, describe(error)))
        return
    leaving = _when_told_to_leave(mailbox)
    ray.get(mailbox.stand.remote(group, dist.get_rank(), ray.get_runtime_context().get_node_id()))
    index = torch.zeros(1, dtype=torch.int64, device=get_device())
    if dist.get_rank() == 0:
        index += ray.get(mailbox.join.remote(group))
    dist.broadcast(index, src=0)
    next_index = int(index.item())
    while (job := ray.get(mailbox.next_job.remote(group, next_index))) is not None:
        if job == NOTHING_YET:
            continue
        next_index += 1
        ending = _train(job, config["task"], mailbox, leaving)
        if dist.get_rank() == 0 or ending.outcome is Outcome.FAILED:
            ray.get(mailbox.finish.remote(group, job.number, ending))
        if ending.outcome is Outcome.FAILED and dist.get_world_size() > 1:
            raise RuntimeError(ending.reason)  # the other workers may wait for this one: a new group starts clean


def _when_told_to_leave(mailbox: Any) -> threading.Event:
    leaving = threading.Event()

    def wait() -> None:
        while not ray.get(mailbox.told_to_leave.remote()):
            pass
        leaving.set()

    threading.Thread(target=wait, daemon=True, name="leaving").start()
    return leaving


def _train(job: Job, task_name: str, mailbox: Any, leaving: threading.Event) -> Ending:
    from ray.train.torch import get_device

    from largebatch.trainers.workers.run_trial import attempt_job

    def on_measurement(measurement: Measurement) -> Action:
        action: Action = ray.get(mailbox.post.remote(job.number, measurement))
        return action

    try:
        return attempt_job(job, task_name, get_device(), on_measurement, leaving.is_set)
    except Exception as error:
        return failed(describe(error))
