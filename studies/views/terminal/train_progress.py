"""The progress of one long training, and its end in words."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from largebatch.spaces.passage_interval import PassageInterval
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement
from largebatch.studies.answer.best_trials import format_seconds
from largebatch.studies.views.terminal.narrow import is_live

LINE_SECONDS = 10.0
"""Seconds between two lines where the output is not a terminal."""


class TrainProgress:
    """One line, renewed on a terminal, and printed again and again elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet, highlight=False)
        self._live = Live(console=self._console, transient=True, refresh_per_second=2)
        self._first: Measurement | None = None
        self._printed = 0.0

    def __enter__(self) -> "TrainProgress":
        if is_live(self._console):
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, now: Measurement, max_examples: int, target: Target) -> None:
        """Tell a measurement."""
        if self._first is None:
            self._first = now
            if now.step > 0:
                self._console.print(f"Going on after {now.examples:,} examples")
        line = self._line(now, self._first, max_examples, target)
        if is_live(self._console):
            self._live.update(Text(line))
        elif time.monotonic() - self._printed >= LINE_SECONDS or now.examples >= max_examples:
            self._console.print(line, soft_wrap=True)
            self._printed = time.monotonic()

    @staticmethod
    def _line(now: Measurement, first: Measurement, max_examples: int, target: Target) -> str:
        parts = [
            f"step {now.step:,}",
            f"{now.examples:,} of {max_examples:,} examples ({100 * now.examples / max_examples:.0f} %)",
            f"{target.metric} {now.values[target.metric]:.4g} (target {target})",
        ]
        seconds = now.seconds - first.seconds
        if seconds > 0:
            rate = (now.examples - first.examples) / seconds
            parts += [f"{rate:,.0f} examples/s", f"{format_seconds((max_examples - now.examples) / rate)} left"]
        return "  ".join(parts)


def _passage_words(result: dict[str, Any]) -> tuple[str, str]:
    """After how many steps, and in what time; trainings of earlier versions do not say between which evaluations."""
    steps, low, high = result["steps_to_target"], result.get("steps_low"), result.get("steps_high")
    after, took = f"after {steps:,.1f} steps", format_seconds(result["seconds_to_target"])
    if low is None or high is None:
        return after, took
    if PassageInterval(low, steps, high).is_bound:
        early = f"before the first evaluation, after {high:,} steps at most (a smaller evaluation_examples tells more)"
        return early, f"at most {format_seconds(result['seconds_high'])}"
    return f"{after} (between the evaluations at {low:,} and {high:,})", took


def print_result(result: dict[str, Any]) -> None:
    """What came out, beside what was predicted."""
    console = Console(highlight=False)
    predicted = result["predicted"]
    workers, devices = result["num_workers"], result["num_devices"]
    if result["steps_to_target"] is not None:
        after, took = _passage_words(result)
        said = (
            f"The target was reached {after}; predicted "
            f"{predicted['steps']:,.1f} ({predicted['steps_low']:,.1f} to {predicted['steps_high']:,.1f})."
        )
        if devices == workers:
            said += (
                f" That took {took}; predicted "
                f"{format_seconds(predicted['seconds_to_target'])} ({format_seconds(predicted['seconds_low'])} to "
                f"{format_seconds(predicted['seconds_high'])})."
            )
        else:
            said += f" Its {workers} workers ran on {devices} device{'s' if devices > 1 else ''} here."
    else:
        said = f"The target was not reached in {result['steps']:,} steps; predicted {predicted['steps']:,.1f}."
    if result["outcome"] == "diverged":
        said += f" {result['outcome']}: {result['reason']}."
    console.print(said, soft_wrap=True)
    console.print(f"Best weights: {result['weights']}", soft_wrap=True)
