"""The mailbox: jobs to idle groups, events in order, a dead group's job given again, and given up in the end."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from largebatch.spaces.trial import Ending, Measurement, Outcome
from largebatch.trainers.workers import mailbox as mailbox_module
from largebatch.trainers.workers.mailbox import MAX_DEATHS, NOTHING_YET, Job, Mailbox

ENDING = Ending(outcome=Outcome.EXHAUSTED, step=1, examples=1, seconds=1.0)


def job(number: int, group: int = 0) -> Job:
    return Job(
        number=number, recipe={}, target={}, max_examples=1, checkpoint="", checkpoint_seconds=1.0, execution={},
        recorded_examples=-1, group=group,
    )  # fmt: skip


def measurement(step: int) -> Measurement:
    return Measurement(step=step, examples=step, seconds=1.0, values={})


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def test_a_trial_from_submission_to_its_end() -> None:
    async def work() -> None:
        mailbox = Mailbox()
        assert await mailbox.join(0) == 0
        await mailbox.submit(job(7))
        assert await mailbox.next_job(0, 0) == await mailbox.next_job(0, 0) == job(7)  # the same for each worker
        assert await mailbox.post(7, measurement(1)) == "go on"
        assert await mailbox.post(7, measurement(2)) == "go on"
        event = await mailbox.next_event(7)
        assert [m.step for m in event.measurements] == [1, 2]
        assert event.ending is None
        await mailbox.finish(0, 7, ENDING)
        assert (await mailbox.next_event(7)).ending == ENDING
        await mailbox.close(0)
        assert await mailbox.next_job(0, 1) is None

    run(work())


def test_a_cancelled_trial_is_told_and_then_silent() -> None:
    async def work() -> None:
        mailbox = Mailbox()
        await mailbox.submit(job(0))
        await mailbox.next_job(0, 0)
        await mailbox.cancel(0)
        assert await mailbox.post(0, measurement(1)) == "stop"
        await mailbox.finish(0, 0, ENDING)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(mailbox.next_event(0), 0.05)

    run(work())


def test_a_job_cancelled_in_the_queue_is_skipped() -> None:
    async def work() -> None:
        mailbox = Mailbox()
        await mailbox.submit(job(0))
        await mailbox.cancel(0)
        await mailbox.submit(job(1))
        assert await mailbox.next_job(0, 0) == job(1)

    run(work())


def test_a_dead_group_s_job_is_given_again_then_given_up() -> None:
    async def work() -> None:
        mailbox = Mailbox()
        await mailbox.submit(job(3))
        for death in range(MAX_DEATHS):
            index = await mailbox.join(0)
            assert index == death
            assert await mailbox.next_job(0, index) == job(3)
        await mailbox.join(0)
        ending = (await mailbox.next_event(3)).ending
        assert ending is not None
        assert (ending.outcome, ending.reason) == (Outcome.FAILED, "its workers died 3 times")

    run(work())


def test_each_group_has_its_own_jobs_and_quits_when_they_are_done() -> None:
    async def work() -> None:
        mailbox = Mailbox()
        await mailbox.submit(job(0, group=1))
        await mailbox.submit(job(1, group=0))
        await mailbox.close(1)
        assert await mailbox.next_job(0, 0) == job(1, group=0)
        assert await mailbox.next_job(1, 0) == job(0, group=1)
        assert await mailbox.next_job(1, 1) is None

    run(work())


def test_a_group_whose_workers_died_when_told_to_quit_is_told_again() -> None:
    async def work() -> None:
        mailbox = Mailbox()
        await mailbox.submit(job(0))
        assert await mailbox.next_job(0, await mailbox.join(0)) == job(0)
        await mailbox.finish(0, 0, ENDING)
        await mailbox.close(0)
        assert await mailbox.next_job(0, 1) is None
        for _ in range(2):
            assert await mailbox.next_job(0, await mailbox.join(0)) is None

    run(work())


def test_a_lost_group_s_jobs_go_to_one_of_its_size_and_fail_without_any() -> None:
    async def work() -> None:
        mailbox = Mailbox()
        for group, size in enumerate((1, 2, 1)):
            await mailbox.open(group, size)
        await mailbox.submit(job(0))
        await mailbox.next_job(0, 0)
        await mailbox.submit(job(1))
        await mailbox.lose(0, "no torch")
        await mailbox.lose(0, "no torch")  # each of its workers says so
        assert [await mailbox.next_job(2, index) for index in (0, 1)] == [job(0), job(1)]
        await mailbox.finish(2, 0, ENDING)
        await mailbox.lose(2, "no torch")
        await mailbox.submit(job(2, group=2))
        assert (await mailbox.next_event(0)).ending == ENDING
        ending = (await mailbox.next_event(2)).ending
        assert ending is not None
        assert ending.reason == "no torch"

    run(work())


class FourPlaces:
    """As Ray has them: a call that waits holds one until it returns, whether its caller lives or not."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox, self._places = mailbox, asyncio.Semaphore(4)

    async def call(self, name: str, *arguments: Any) -> Any:
        async with self._places:
            return await getattr(self._mailbox, name)(*arguments)


def test_callers_that_are_gone_do_not_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty groups come and go, one after the other; each leaves a wait for ``leave`` and one for a job behind."""
    monkeypatch.setattr(mailbox_module, "WAIT_SECONDS", 0.01)

    async def work() -> None:
        places = FourPlaces(Mailbox())
        abandoned = []
        for group in range(20):
            abandoned += [asyncio.ensure_future(places.call("told_to_leave"))]
            await places.call("submit", job(group, group=group))
            assert await places.call("next_job", group, await places.call("join", group)) == job(group, group=group)
            abandoned += [asyncio.ensure_future(places.call("next_job", group, 1)) for _ in range(2)]
            abandoned += [asyncio.ensure_future(places.call("next_event", 100 + group))]
            await places.call("finish", group, group, ENDING)
            assert (await places.call("next_event", group)).ending == ENDING
        await asyncio.gather(*abandoned)

    run(work())


def test_a_wait_that_is_over_says_nothing_yet_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox_module, "WAIT_SECONDS", 0.01)

    async def work() -> None:
        mailbox = Mailbox()
        assert not await mailbox.told_to_leave()
        both = await asyncio.gather(mailbox.next_job(0, 0), mailbox.next_job(0, 0))
        assert both == [NOTHING_YET, NOTHING_YET]
        event = await mailbox.next_event(0)
        assert (event.measurements, event.ending) == ((), None)
        await mailbox.submit(job(0))
        assert await mailbox.next_job(0, 0) == await mailbox.next_job(0, 0) == job(0)
        await mailbox.post(0, measurement(1))
        assert [m.step for m in (await mailbox.next_event(0)).measurements] == [1]
        await mailbox.leave()
        assert await mailbox.told_to_leave()

    run(work())
