"""The mailbox between the trials and the warm groups. Knows neither torch nor Ray: each would cost its process seconds.

It hands a job to whichever group is idle, keeps the events of each trial in order, and gives a job again to the next
group when the workers that had it died.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from largebatch.spaces.trial import Action, Ending, Measurement
from largebatch.trainers.failure import failed

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
    execution: Mapping[str, Any]
    past_target: bool = False


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
        self._pausing: set[int] = set()
        self._measurements: dict[int, list[Measurement]] = defaultdict(list)
        self._endings: dict[int, Ending] = {}
        self._news: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._started = asyncio.Event()  # the first group has joined, or is lost
        self._taking: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._leaving = asyncio.Event()

    async def submit(self, job: Job) -> None:
        """Queue a trial."""
        self._cancelled.discard(job.number)
        self._pausing.discard(job.number)
        if self._num_groups:
            await self._waiting.put(job)
        else:
            self._end(job.number, failed(self._loss))

    async def cancel(self, number: int) -> None:
        """Let the group that trains trial ``number`` leave it at its next measurement."""
        self._cancelled.add(number)

    async def pause(self, number: int) -> None:
        """Let the group that trains trial ``number`` save it at its next measurement and leave it."""
        self._pausing.add(number)

    async def leave(self) -> None:
        """Let every group save what it trains and leave it."""
        self._leaving.set()

    async def told_to_leave(self) -> None:
        """Wait for ``leave``."""
        await self._leaving.wait()

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
        self._started.set()
        job = self._unfinished.pop(group, None)
        if job is not None:
            self._deaths[job.number] += 1
            if self._deaths[job.number] >= MAX_DEATHS:
                self._end(job.number, failed(f"its workers died {MAX_DEATHS} times"))
            else:
                await self._waiting.put(job)
        return len(self._jobs[group])

    async def started(self) -> None:
        """Wait for the first group."""
        await self._started.wait()

    async def lose(self, group: int, reason: str) -> None:
        """A group is gone for good. Without any left, every trial fails for that reason."""
        self._started.set()
        self._num_groups -= 1
        self._loss = reason
        unfinished = self._unfinished.pop(group, None)
        if unfinished is not None:
            await self._waiting.put(unfinished)
        while not self._num_groups and not self._waiting.empty():
            job = self._waiting.get_nowait()
            if job is not None:
                self._end(job.number, failed(reason))

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

    async def post(self, number: int, measurement: Measurement) -> Action:
        """Take a measurement and say what the training is to do."""
        if number in self._cancelled:
            return "stop"
        self._measurements[number].append(measurement)
        self._news[number].set()
        return "pause" if number in self._pausing else "go on"

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
