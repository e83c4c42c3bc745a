"""The guest's side: a decider for the engines of this job, which asks the coordinator of the job that owns the study.

Once the owner is gone no trial comes any more, and those that run are told to save; what they still measure is written
down for the next owner (``recovery.py``).
"""

import os
import secrets
import socket
import threading
import time
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Ending, Measurement, Trial
from largebatch.studies.question.study import Study
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.lease.heartbeat import Presence
from largebatch.studies.record.lease.lease_monitor import LeaseWatch
from largebatch.studies.record.open_ledger import read_ledger
from largebatch.studies.running.interruption import Leaving
from largebatch.studies.running.joining.job_folder import GuestFolder, guests_of
from largebatch.studies.running.joining.messages import (
    POLL_SECONDS,
    Answer,
    Ended,
    Fit,
    Measured,
    Message,
    Next,
    Stopped,
    parse_answer,
)

REST_SECONDS = 1.0
"""From one question for a trial to the next, while there is none."""


class Guest:
    """For the time of a ``with``, of the owner that ``watch`` saw last."""

    owns = False

    def __init__(
        self, study: Study, target: Target, max_examples: int, directory: StudyDirectory, watch: LeaseWatch,
        leaving: Leaving,
    ) -> None:  # fmt: skip
        self.study, self.target, self.max_examples = study, target, max_examples
        self.curves, self._watch, self._leaving = directory.curves, watch, leaving
        self._fence = watch.fence
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._files = GuestFolder(guests_of(directory.path, self._fence) / name)
        self.checkpoints = self._files.checkpoints
        self._ledger = read_ledger(directory, study)
        self.gone = False
        """Whether the owner is no more."""
        self.jobs = 2
        self.waits = False
        self.num_requeued = 0
        self._number = 0
        self._rests_until = 0.0
        self._lock, self._over = threading.Lock(), threading.Event()

    def __enter__(self) -> "Guest":
        self._files.path.mkdir(parents=True)
        self._presence = Presence(self._files.presence)
        self._thread = threading.Thread(target=self._watch_owner, daemon=True, name="guest")
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()
        self._presence.end()

    @property
    def elapsed_seconds(self) -> float:
        """How long the study had run when it last wrote that down."""
        return self._ledger.elapsed_seconds()

    def trials(self) -> list[Trial]:
        """All trials so far, of all jobs."""
        return self._ledger.trials()

    def refuse_what_cannot_fit(self, num_running: int) -> None:
        """Refuse so many trials at once where there is no room for their checkpoints beside those of other jobs.

        Raises:
            UserError: with both figures.
        """
        self._ask(Fit, num_running=num_running)

    def next_trial(self) -> Trial | None:
        """The trial to launch now; None where there is none."""
        if self.gone or time.monotonic() < self._rests_until:
            return None
        answer = self._ask(Next)
        self.waits = answer.waits
        if answer.trial is None:
            self._rests_until = time.monotonic() + REST_SECONDS
        return answer.trial

    def measure(self, number: int, measurement: Measurement) -> Action:
        """Have a measurement recorded; what the trial is to do."""
        return self._ask(Measured, trial=number, measurement=measurement).action or "go on"

    def end(self, number: int, ending: Ending) -> None:
        """Have it recorded how a trial ended, or that it left with its state saved."""
        self._ask(Ended, trial=number, ending=ending)

    def stop(self, number: int) -> None:
        """Have it recorded that a trial whose stop was decided has left."""
        self._ask(Stopped, trial=number)

    def _ask(self, kind: type[Message], **content: Any) -> Answer:
        """The owner's answer; an empty one where there is no owner any more.

        Raises:
            UserError: if it serves this job no longer.
        """
        with self._lock:
            self._number += 1
            self._files.asks.append(kind(number=self._number, **content))
            while not self.gone:
                for answer in map(parse_answer, self._files.answers.read()):
                    if answer.refused is not None:
                        raise UserError(answer.refused)
                    if answer.number == self._number:
                        return answer
                time.sleep(POLL_SECONDS / 2)
            return Answer(number=self._number)

    def _watch_owner(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            try:
                holder = self._watch.look()
            except OSError:
                continue
            if holder is None or holder.fence != self._fence:
                self.gone, self.waits = True, False
                self._leaving.ask("the job that owned the study has ended")
                return
            self.jobs = holder.jobs
