"""The mailbox between the trials and the warm groups. Knows neither torch nor Ray: each would cost its process seconds.

It keeps the jobs of each group and the events of each trial in order, gives a job again when the workers that had it
died, and to another group of the same size when its own is lost.

A call that waits has a place in the actor, and Ray does not take it back when the caller dies. So no call waits for
longer than ``WAIT_SECONDS``: it says that there is nothing yet, and whoever is still there asks again. A place is lost
for that long at most, and where more wait than there are places they take turns.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from largebatch.spaces.trial import Action, Ending, Measurement, Outcome
from largebatch.trainers.workers.failure import failed

WAIT_SECONDS = 60.0
"""How long a call waits at most. A thousand workers and trials ask some fifty times a second."""
PLACES = 100_000
"""Calls that may wait at once: three a device of thirty thousand; Ray's default is 1,000."""
NOTHING_YET: Literal["nothing yet"] = "nothing yet"
MAX_DEATHS = 3
"""A recipe whose workers died this often is recorded as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trial for a group: everything that its workers need, as plain values.

    ``recorded_examples``: what was measured until then is in the record, -1 where nothing is.
    """

    number: int
    recipe: Mapping[str, Any]
    target: Mapping[str, Any]
    max_examples: int
    checkpoint: str
    checkpoint_seconds: float
    execution: Mapping[str, Any]
    recorded_examples: int
    past_target: bool = False
    group: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a group tells of a trial: measurements in order, then one ending."""

    measurements: tuple[Measurement, ...]
    ending: Ending | None


class Mailbox:
    """Jobs from the trials to the groups, events back. One Ray actor a study; all methods run on one event loop."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}  # of the groups that are open, in devices
        self._losses: dict[int, tuple[int, str]] = {}  # size of a group that is lost, and why
        self._waiting: dict[int, asyncio.Queue[Job | None]] = defaultdict(asyncio.Queue)  # for each group
        self._jobs: dict[int, list[Job | None]] = defaultdict(list)  # of each group, in the order it took them
        self._unfinished: dict[int, Job] = {}  # group -> job that it works on
        self._deaths: dict[int, int] = defaultdict(int)  # trial -> deaths of workers that had it
        self._cancelled: set[int] = set()
        self._pausing: set[int] = set()
        self._measurements: dict[int, list[Measurement]] = defaultdict(list)
        self._endings: dict[int, Ending] = {}
        self._news: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._taking: dict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._leaving = asyncio.Event()
        self._nodes: dict[int, dict[int, str]] = defaultdict(dict)  # group -> rank -> where it is
        self._excused: set[int] = set()  # groups whose workers died with a node, not of a recipe

    async def open(self, group: int, num_devices: int) -> None:
        """A group is being started."""
        self._sizes[group] = num_devices

    async def submit(self, job: Job) -> None:
        """Queue a trial for its group."""
        self._cancelled.discard(job.number)
        self._pausing.discard(job.number)
        self._give(job, job.group)

    def _give(self, job: Job, group: int) -> None:
        """Queue a job; that of a lost group goes to another of its size, and without any the trial fails."""
        if self._leaving.is_set():
            reason = "told to leave before it began"
            self._end(job.number, Ending(outcome=Outcome.PREEMPTED, step=0, examples=0, seconds=0.0, reason=reason))
            return
        if group in self._losses:
            size, why = self._losses[group]
            heir = next((other for other, its_size in self._sizes.items() if its_size == size), None)
            if heir is None:
                self._end(job.number, failed(why))
                return
            group = heir
        self._waiting[group].put_nowait(job)

    async def cancel(self, number: int) -> None:
        """Let the group that trains trial ``number`` leave it at its next measurement."""
        self._cancelled.add(number)

    async def pause(self, number: int) -> None:
        """Let the group that trains trial ``number`` save it at its next measurement and leave it."""
        self._pausing.add(number)

    async def leave(self) -> None:
        """Let every group save what it trains and leave it; what no group has begun ends at once."""
        self._leaving.set()
        for group, waiting in self._waiting.items():
            jobs = [waiting.get_nowait() for _ in range(waiting.qsize())]
            for job in jobs:
                waiting.put_nowait(None) if job is None else self._give(job, group)

    async def told_to_leave(self) -> bool:
        """Wait for ``leave``; whether it has come."""
        await _for_a_while(self._leaving.wait())
        return self._leaving.is_set()

    async def next_event(self, number: int) -> Event:
        """Wait for news of trial ``number``; several measurements come together when the caller is slow.

        An event without any: there is nothing yet.
        """
        news = self._news[number]
        await _for_a_while(news.wait())
        news.clear()
        measurements = tuple(self._measurements.pop(number, ()))
        return Event(measurements=measurements, ending=self._endings.pop(number, None))

    async def stand(self, group: int, rank: int, node: str) -> None:
        """A worker of a group has started on a node."""
        self._nodes[group][rank] = node

    async def nodes(self) -> dict[int, set[str]]:
        """The nodes on which the workers of each group that ever started are, or were."""
        return {group: set(nodes.values()) for group, nodes in self._nodes.items()}

    async def excuse(self, group: int) -> None:
        """A group has lost a node: what it works on is not to blame."""
        if group in self._unfinished:
            self._excused.add(group)

    async def move(self, number: int, group: int, heir: int) -> None:
        """Give trial ``number``, if it has not ended, to another group in place of one that was given up."""
        waiting = self._waiting[group]
        jobs = [self._unfinished.pop(group, None), *(waiting.get_nowait() for _ in range(waiting.qsize()))]
        for job in jobs:
            if job is not None and job.number == number:
                self._give(job, heir)
        waiting.put_nowait(None)  # it quits, should its workers start again

    async def join(self, group: int) -> int:
        """A group's workers have started: return the index of its next job.

        What the workers before them left unfinished is queued again, or ended as failed after too many deaths; told to
        quit, they were killed before they had, and these are told again.
        """
        job = self._unfinished.pop(group, None)
        if job is not None:
            self._deaths[job.number] += group not in self._excused
            if self._deaths[job.number] >= MAX_DEATHS:
                self._end(job.number, failed(f"its workers died {MAX_DEATHS} times"))
            else:
                self._give(job, group)
        self._excused.discard(group)
        jobs = self._jobs[group]
        return len(jobs) - 1 if jobs and jobs[-1] is None else len(jobs)

    async def lose(self, group: int, reason: str) -> None:
        """A group is gone for good; its jobs are another's now."""
        if group in self._losses:  # each of its workers says so
            return
        self._losses[group] = (self._sizes.pop(group, 0), reason)
        unfinished, waiting = self._unfinished.pop(group, None), self._waiting[group]
        jobs = [unfinished, *(waiting.get_nowait() for _ in range(waiting.qsize()))]
        for job in jobs:
            if job is not None:
                self._give(job, group)

    async def next_job(self, group: int, index: int) -> Job | Literal["nothing yet"] | None:
        """Wait for the ``index``-th job of a group, the same for each of its workers; None means to quit."""
        await _for_a_while(self._take_until(group, index))
        return self._jobs[group][index] if index < len(self._jobs[group]) else NOTHING_YET

    async def _take_until(self, group: int, index: int) -> None:
        """Take jobs of a group until it has the ``index``-th; where this is given up, what waits is still there."""
        async with self._taking[group]:
            while index >= len(self._jobs[group]):
                job = await self._waiting[group].get()
                if job is not None and job.number in self._cancelled:
                    continue
                self._jobs[group].append(job)
                if job is not None:
                    self._unfinished[group] = job

    async def close(self, group: int) -> None:
        """Let a group quit once its queue is empty."""
        self._sizes.pop(group, None)
        self._waiting[group].put_nowait(None)

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


async def _for_a_while(wait: Coroutine[Any, Any, Any]) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(wait, WAIT_SECONDS)
