"""The owner's side: serves the guests of a study from a thread, as if their engines were its own.

A guest is believed as long as it shows that it lives. When it leaves, dies, or stands still for too long, its trials go
on elsewhere from the checkpoints in its folder, which are moved from there: what it may still write is read by nobody.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Trial
from largebatch.studies.record.lease.lease_monitor import PresenceWatch
from largebatch.studies.running.coordinator import Coordinator
from largebatch.studies.running.joining.job_folder import GuestFolder, move_checkpoints
from largebatch.studies.running.joining.messages import (
    POLL_SECONDS,
    Answer,
    Ask,
    Ended,
    Fit,
    Measured,
    Next,
    Stopped,
    parse_ask,
)


class Host:
    """For the time of a ``with``, whoever makes a folder in ``folder`` is served; ``tell_jobs`` tells how many do."""

    def __init__(self, coordinator: Coordinator, folder: Path, tell_jobs: Callable[[int], object]) -> None:
        self._coordinator, self._folder, self._tell_jobs = coordinator, folder, tell_jobs
        self._guests: dict[str, _Guest] = {}
        self._gone: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True, name="host")

    def __enter__(self) -> "Host":
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()

    def _serve(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            try:
                with suppress(OSError):  # nobody has come yet, or the file system is away for a moment
                    for path in self._folder.iterdir():
                        if path.name not in self._guests and path.name not in self._gone and path.is_dir():
                            self._guests[path.name] = _Guest(path)
                for guest in list(self._guests.values()):
                    self._look_after(guest)
                if self._coordinator.jobs != 1 + len(self._guests):
                    self._coordinator.jobs = 1 + len(self._guests)
                    self._tell_jobs(self._coordinator.jobs)
            except Exception as problem:  # of the record: it ends the study, in the thread that trains
                self._coordinator.give_up(problem)

    def _look_after(self, guest: "_Guest") -> None:
        is_there = guest.watch.look()
        try:
            asks = [parse_ask(line) for line in guest.files.asks.read()]
        except (ValueError, OSError) as error:
            self._let_go(guest, f"it wrote what is no message ({str(error).splitlines()[0]})")
            return
        for ask in asks:
            if not self._may_ask(guest, ask):
                self._let_go(guest, "it told of what it does not have")
                return
            answer = self._answer(guest, ask)
            try:
                guest.files.answers.append(answer)
            except OSError as error:
                self._let_go(guest, f"it cannot be answered ({error})")
                return
        if not is_there:
            said = "it stood still for too long, and its trials were given to others; start it again"
            self._let_go(guest, said if guest.watch.died else "it has left")

    def _may_ask(self, guest: "_Guest", ask: Ask) -> bool:
        if isinstance(ask, Measured) and self._coordinator.target.metric not in ask.measurement.values:
            return False
        return isinstance(ask, Fit | Next) or ask.trial in guest.trials

    def _answer(self, guest: "_Guest", ask: Ask) -> Answer:
        coordinator, number = self._coordinator, ask.number
        try:
            match ask:
                case Fit():
                    coordinator.refuse_what_cannot_fit(ask.num_running, guest.name)
                case Next():
                    trial = coordinator.next_trial(guest.name)
                    if trial is not None:
                        self._lend(guest, trial)
                    return Answer(number=number, trial=trial, waits=coordinator.waits)
                case Measured():
                    return Answer(number=number, action=coordinator.measure(ask.trial, ask.measurement))
                case Ended():
                    self._take(guest, ask.trial)
                    coordinator.end(ask.trial, ask.ending)
                case Stopped():
                    self._take(guest, ask.trial)
                    coordinator.stop(ask.trial)
        except UserError as problem:
            if not isinstance(ask, Fit):  # then it is the whole study's
                coordinator.give_up(problem)
            return Answer(number=number, refused=str(problem))
        return Answer(number=number)

    def _lend(self, guest: "_Guest", trial: Trial) -> None:
        guest.trials.add(trial.number)
        move_checkpoints(self._coordinator.checkpoints, guest.files.checkpoints, trial.number)

    def _take(self, guest: "_Guest", number: int) -> None:
        move_checkpoints(guest.files.checkpoints, self._coordinator.checkpoints, number)
        guest.trials.discard(number)

    def _let_go(self, guest: "_Guest", why: str) -> None:
        for number in sorted(guest.trials):
            self._take(guest, number)
            self._coordinator.take_back(number, guest.name)
        with suppress(OSError):  # somebody has removed its folder
            guest.files.answers.append(Answer(number=0, refused=f"this job serves the study no longer: {why}"))
        del self._guests[guest.name]
        self._gone.add(guest.name)


class _Guest:
    def __init__(self, path: Path) -> None:
        self.name, self.files = path.name, GuestFolder(path)
        self.watch = PresenceWatch(self.files.presence)
        self.trials: set[int] = set()
