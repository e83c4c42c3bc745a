"""Leaving before the work is done: on Ctrl-C, on TERM and USR1, and when the end of the job comes near.

TERM, USR1 and the end ask whatever trains to save its state and stop; the process then ends with ``EXIT_CODE``, and the
same command goes on. Ctrl-C ends a study at once. A second signal leaves at once, as does a worker that does not answer
in time: what it did since its last checkpoint is lost.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from largebatch.schedulers.clusters.launcher.process_tree import end_children
from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Measurement

EXIT_CODE = os.EX_TEMPFAIL
"""What a job's script requeues on."""
PATIENCE_SECONDS = 15.0
"""Workers have at least so long to save."""
ENDING_SECONDS = 15.0
"""Kept for what comes after: Ray ends, and the job's script does what it has to do."""
STUCK_SECONDS = 5.0
"""From then to the hard end of a process that does not leave by itself, as when it waits for a Ray that is dead."""
POLL_SECONDS = 0.2
_END_TIMES = ("LARGEBATCH_END_TIME", "SLURM_JOB_END_TIME")


class LeftEarly(SystemExit):
    """Ends the process with ``EXIT_CODE`` unless something catches it; not an Exception, which trainings may catch."""

    def __init__(self, why: str) -> None:
        super().__init__(EXIT_CODE)
        self.why = why

    def __str__(self) -> str:
        return self.why


class Leaving:
    """Whether, and why, this process was asked to leave.

    Args:
        end_time: When the job ends, in seconds since the epoch.
        saves_on_interrupt: Whether Ctrl-C, too, asks to save.
    """

    def __init__(self, end_time: float | None = None, *, saves_on_interrupt: bool = False) -> None:
        self._end_time, self._saves_on_interrupt = end_time, saves_on_interrupt
        self.asked = threading.Event()
        self.why = ""
        self.interrupted = False
        """Whether it was Ctrl-C that asked."""
        self.signalled = False
        """Whether a signal, or the end of the job, asked."""
        self.abandoned = False
        """Whether there is nobody left who could save."""
        self.running: set[int] = set()
        """Trials that have not ended or answered."""
        self.saved: set[int] = set()
        """Trials that were asked to save and did."""
        self._tell: Callable[[], object] | None = None
        self._raised: BaseException | None = None
        self._reason: str | None = None
        self._forced = False
        self._before: dict[int, Measurement] = {}
        self._longest_seconds = 0.0
        self._over = threading.Event()
        self._handlers: dict[signal.Signals, object] = {}

    @contextmanager
    def training(self, tell: Callable[[], object] = lambda: None) -> Iterator[None]:
        """For the time of this ``with`` there is something to save, and ``tell`` (from a thread) asks for it."""
        self._tell = tell
        try:
            yield
        finally:
            self._tell = None

    def heed(self, number: int, measurement: Measurement) -> None:
        """Learn how long a trial takes to answer: it asks after each step, and not while it evaluates or saves."""
        before, self._before[number] = self._before.get(number), measurement
        seconds = measurement.values.get("save_seconds", 0.0)
        if before is not None and measurement.step > before.step:
            seconds += (measurement.seconds - before.seconds) / (measurement.step - before.step)
            key = "evaluation_seconds"
            seconds += measurement.values.get(key, 0.0) - before.values.get(key, 0.0)
        self._longest_seconds = max(self._longest_seconds, seconds)

    @property
    def patience_seconds(self) -> float:
        """How long workers have to answer."""
        return PATIENCE_SECONDS + 2 * self._longest_seconds

    def check(self) -> None:
        """Raise again what something swallowed, and take back the signals that something took.

        Python raises wherever the main thread happens to be; inside a finaliser or a callback of a library's C code it
        is printed or dropped. Tune takes USR1, Ray takes TERM.
        """
        self._take_signals()
        if self._raised is not None:
            raise self._raised

    def ask(self, why: str) -> None:
        """Let what trains be saved, from any thread; the process need not end then."""
        if not self.asked.is_set():
            self.why = why
            self.asked.set()

    def abandon(self, why: str) -> None:
        """Leave at once, from any thread: nothing can be saved, and Ray may not answer."""
        self.why, self.abandoned = why, True
        self.asked.set()

    def left(self) -> LeftEarly:
        """What to raise when a study has left: it says what was saved."""
        saved, running = len(self.saved), len(self.saved | self.running)
        if not running:
            return LeftEarly(self.why)
        said = f"saved {saved} running trial{'s' * (saved != 1)}"
        if saved < running:
            said = f"saved {saved} of {running} running trials, the others go on from their last checkpoints"
        return LeftEarly(f"{self.why}: {said}")

    def _take_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
            return
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            if signal.getsignal(number) != self._signalled:
                self._handlers.setdefault(number, signal.signal(number, self._signalled))

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        del frame
        interrupts = number == signal.SIGINT
        self.signalled = self.signalled or not self._forced
        reason, self._reason = self._reason or f"{signal.Signals(number).name} came", None
        if self._tell is not None and not self.asked.is_set() and (self._saves_on_interrupt or not interrupts):
            self.why, self.interrupted = reason, interrupts
            self.asked.set()
            return
        self._raised = KeyboardInterrupt() if interrupts else LeftEarly(self.why or reason)
        raise self._raised

    def _watch(self) -> None:
        main = threading.main_thread().ident or 0
        told_at: float | None = None
        forced_at: float | None = None
        while not self._over.wait(POLL_SECONDS):
            if forced_at is not None and time.monotonic() - forced_at > STUCK_SECONDS:
                print(f"{self.left()}; the same command goes on", file=sys.stderr, flush=True)
                end_children()  # a Ray of our own, some of whose processes would stay
                os._exit(EXIT_CODE)  # as kill -9 would: the record is whole at every moment
            if self.asked.is_set():
                if told_at is None and self._tell is not None and not self.abandoned:
                    told_at = time.monotonic()
                    threading.Thread(target=self._tell, daemon=True, name="telling").start()  # Ray may not answer
                elif forced_at is None and (
                    self.abandoned or (told_at is not None and time.monotonic() - told_at > self.patience_seconds)
                ):
                    self._forced = True
                    signal.pthread_kill(main, signal.SIGUSR1)
                    forced_at = time.monotonic()
            elif self._end_time is not None and time.time() > self._end_time - self.patience_seconds - ENDING_SECONDS:
                self._reason = "the end of the job is near"
                signal.pthread_kill(main, signal.SIGUSR1)
                self._end_time = None

    def __enter__(self) -> "Leaving":
        self._take_signals()
        if self._handlers:
            self._thread = threading.Thread(target=self._watch, daemon=True, name="leaving")
            self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        if self._handlers:
            self._over.set()
            self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def job_end_time(environment: Mapping[str, str]) -> float | None:
    """When this job ends, where its environment says so; a time that has passed is another job's.

    Raises:
        UserError: if it is no time.
    """
    for name in _END_TIMES:
        if name in environment:
            try:
                end_time = float(environment[name])
            except ValueError as error:
                raise UserError(f"{name} must be seconds since the epoch; got {environment[name]!r}") from error
            return end_time if end_time > time.time() else None
    return None
