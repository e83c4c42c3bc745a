"""Warm worker groups: Ray Train runs that are started once and serve trial after trial.

Ray Train restarts its workers for every run, which costs 10 to 20 seconds a trial. A group here is one Ray Train run
whose training function takes jobs from a mailbox until it is told to quit; only the recipe is new. The mailbox hands
a job to whichever group is idle, keeps the events of each trial in order, and gives a job again to the next group
when the workers that had it died.
"""

import asyncio
import threading
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Measurement, Outcome

MAX_DEATHS = 3
"""A recipe whose workers died this often is recorded as failed."""

@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trial for a group: everything that its workers need, as plain values."""

    number: int
    recipe: Mapping[str, Any]
    target: Mapping[str, Any]
    max_examples: int
    checkpoint: str
    checkpoint_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a group tells of a trial: measurements in order, then one ending."""

    measurements: tuple[Measurement, ...]
    ending: Ending | None


class Mailbox:
    """Jobs from the trials to the groups, events back. One Ray actor a study; all methods run on one event loop."""

    def __init__(self, num_groups: int) -> None:
        self._num_groups = num_groups  # that are not lost
        self._loss = ""  # why the last group was lost
        self._waiting: asyncio.Queue[Job | None] = asyncio.Queue()
        self._jobs: dict[int, list[Job | None]] = defaultdict(list)  # of each group, in the order it took them
        self._unfinished: dict[int, Job] = {}  # group -> job that it works on
        self._deaths: dict[int, int] = defaultdict(int)  # trial -> deaths of workers that had it
        self._cancelled: set[int] = set()
        self._measurements: dict[int, list[Measurement]] = defaultdict(list)
        self._endings: dict[int, Ending] = {}
        self._news: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._taking: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def submit(self, job: Job) -> None:
        """Queue a trial."""
        self._cancelled.discard(job.number)
        if self._num_groups:
            await self._waiting.put(job)
        else:
            self._end(job.number, _failed(self._loss))

    async def cancel(self, number: int) -> None:
        """Let the group that trains trial ``number`` leave it at its next measurement."""
        self._cancelled.add(number)

    async def next_event(self, number: int) -> Event:
        """Wait for news of trial ``number``; several measurements come together when the caller is slow."""
        news = self._news[number]
        await news.wait()
        news.clear()
        measurements = tuple(self._measurements.pop(number, ()))
        return Event(measurements=measurements, ending=self._endings.pop(number, None))

    async def join(self, group: int) -> int:
        """A group's workers have started: return the index of its next job.

        What the workers before them left unfinished is queued again, or ended as failed after too many deaths.
        """
        job = self._unfinished.pop(group, None)
        if job is not None:
            self._deaths[job.number] += 1
            if self._deaths[job.number] >= MAX_DEATHS:
                self._end(job.number, _failed(f"its workers died {MAX_DEATHS} times"))
            else:
                await self._waiting.put(job)
        return len(self._jobs[group])

    async def lose(self, group: int, reason: str) -> None:
        """A group is gone for good. Without any left, every trial fails for that reason."""
        self._num_groups -= 1
        self._loss = reason
        unfinished = self._unfinished.pop(group, None)
        if unfinished is not None:
            await self._waiting.put(unfinished)
        while not self._num_groups and not self._waiting.empty():
            job = self._waiting.get_nowait()
            if job is not None:
                self._end(job.number, _failed(reason))

    async def next_job(self, group: int, index: int) -> Job | None:
        """Wait for the ``index``-th job of a group, the same for each of its workers; None means to quit."""
        async with self._taking[group]:
            while index >= len(self._jobs[group]):
                job = await self._waiting.get()
                if job is not None and job.number in self._cancelled:
                    continue
                self._jobs[group].append(job)
                if job is not None:
                    self._unfinished[group] = job
        return self._jobs[group][index]

    async def close(self) -> None:
        """Let the groups quit once the queue is empty."""
        for _ in range(self._num_groups):
            await self._waiting.put(None)

    async def post(self, number: int, measurement: Measurement) -> bool:
        """Take a measurement; True if the trial is to stop."""
        if number in self._cancelled:
            return True
        self._measurements[number].append(measurement)
        self._news[number].set()
        return False

    async def finish(self, group: int, number: int, ending: Ending) -> None:
        """Take the end of a trial; a cancelled trial's is not news."""
        self._unfinished.pop(group, None)
        self._end(number, ending)

    def _end(self, number: int, ending: Ending) -> None:
        if number in self._cancelled:
            self._news.pop(number, None)
            return
        self._endings[number] = ending
        self._news[number].set()


class WarmGroup:
    """One Ray Train run of ``num_devices`` workers, on GPUs where Ray has them, that goes on until its work returns.

    Args:
        name: Its name in Ray.
        work: What each worker runs with ``config``.
        config: Plain values and actor handles.
        num_devices: Workers of the group.
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
        max_restarts: int,
        storage: Path,
    ) -> None:
        use_gpu = ray.cluster_resources().get("GPU", 0) >= num_devices
        trainer = TorchTrainer(
            work,
            train_loop_config=dict(config),
            torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
            scaling_config=ScalingConfig(num_workers=num_devices, use_gpu=use_gpu),
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
        task = load_task(config["task"])
        recipe = Recipe(global_batch_size=1, learning_rate=1.0)
        Training(task, recipe, max_examples=1, device=get_device())  # imports what the first trial would wait for
    except Exception as error:
        ray.get(mailbox.lose.remote(group, _reason(error)))
        return
    index = torch.zeros(1, dtype=torch.int64, device=get_device())
    if dist.get_rank() == 0:
        index += ray.get(mailbox.join.remote(group))
    dist.broadcast(index, src=0)
    next_index = int(index.item())
    while (job := ray.get(mailbox.next_job.remote(group, next_index))) is not None:
        next_index += 1
        ending = _train(job, task, mailbox)
        if dist.get_rank() == 0 or ending.outcome is Outcome.FAILED:
            ray.get(mailbox.finish.remote(group, job.number, ending))
        if ending.outcome is Outcome.FAILED and dist.get_world_size() > 1:
            raise RuntimeError(ending.reason)  # the other workers may wait for this one: a new group starts clean


def _train(job: Job, task: Any, mailbox: Any) -> Ending:
    from ray.train.torch import get_device

    from largebatch.trainers.training import Training, run_to_target

    def on_measurement(measurement: Measurement) -> bool:
        stop: bool = ray.get(mailbox.post.remote(job.number, measurement))
        return stop

    try:
        recipe = Recipe.model_validate(job.recipe)
        training = Training(task, recipe, max_examples=job.max_examples, device=get_device())
        return run_to_target(
            training,
            Target.model_validate(job.target),
            on_measurement=on_measurement,
            checkpoint=Path(job.checkpoint),
            checkpoint_seconds=job.checkpoint_seconds,
        )
    except Exception as error:
        return _failed(_reason(error))


def _reason(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"


def _failed(reason: str) -> Ending:
    return Ending(outcome=Outcome.FAILED, step=0, examples=0, seconds=0.0, reason=reason)
