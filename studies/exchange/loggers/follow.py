"""Sends what the record holds to sinks while a study runs: from a thread of its own, so that no sink can harm it."""

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from largebatch.spaces.trial import Measurement, Trial

PERIOD_SECONDS = 2.0
LAST_SECONDS = 30.0
"""How long the end of a study waits for a sink that does not answer."""


class Sink(Protocol):
    """Takes each trial's measurements once, in their order, and each end once."""

    def write(self, trial: Trial, measurements: Sequence[Measurement]) -> None:
        """Take what was measured since the last call; ``trial.ending`` is there in the last one."""

    def close(self) -> None:
        """Write out what is held back."""


@contextmanager
def follow(
    sinks: Mapping[str, Sink],
    trials: Callable[[], Sequence[Trial]],
    curve: Callable[[int], Sequence[Measurement]],
    tell: Callable[[str], None],
) -> Iterator[None]:
    """For the time of a ``with`` keep ``sinks`` up to date, the earlier trials of a resumed study first.

    A sink that fails is told of once and left out. ``trials`` and ``curve`` read the record.
    """
    followers = {name: _Follower(sink) for name, sink in sinks.items()}
    over = threading.Event()

    def send() -> None:
        for name, follower in list(followers.items()):
            try:
                follower.send(trials(), curve)
            except Exception as error:  # whatever others' code raises, the study goes on
                del followers[name]
                tell(f"{name}: {type(error).__name__}: {error}; nothing more is sent there, the study goes on")

    def send_on() -> None:
        while not over.wait(PERIOD_SECONDS):
            send()
        send()
        for name, follower in followers.items():
            try:
                follower.sink.close()
            except Exception as error:
                tell(f"{name}: {type(error).__name__}: {error}; its end was not written")

    thread = threading.Thread(target=send_on, daemon=True, name="sinks")
    if sinks:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if sinks:
            thread.join(LAST_SECONDS)
            if thread.is_alive():
                tell(f"{', '.join(followers)}: no answer for {LAST_SECONDS:.0f} s; what is left is not sent")


def numbers(measurement: Measurement) -> dict[str, float]:
    """What was measured, and the examples so far; without what was not finite, which others' tools cannot draw."""
    found = {"examples": float(measurement.examples), **measurement.values}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


class _Follower:
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._last: dict[int, int] = {}
        self._ended: set[int] = set()

    def send(self, trials: Sequence[Trial], curve: Callable[[int], Sequence[Measurement]]) -> None:
        """What is new in the record since the last call."""
        for trial in trials:
            if trial.number in self._ended:
                continue
            last = self._last.get(trial.number, -1)
            new = [measurement for measurement in curve(trial.number) if measurement.step > last]
            if new or trial.ending is not None:
                self.sink.write(trial, new)
            if new:
                self._last[trial.number] = new[-1].step
            if trial.ending is not None:
                self._ended.add(trial.number)
