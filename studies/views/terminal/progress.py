"""The progress of a running study: a live panel on a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from largebatch.spaces.trial import Trial
from largebatch.studies.answer.best_trials import format_seconds
from largebatch.studies.running.trial_source import Decider
from largebatch.studies.views.terminal.narrow import fitting_columns, is_live, table_that_fits

LINE_SECONDS = 10.0
"""Seconds between two lines where the output is not a terminal."""


@contextmanager
def watch(coordinator: Decider, console: Console) -> Iterator[None]:
    """Show the progress of ``coordinator`` for the time of a ``with``."""
    progress = _Progress(coordinator)
    ended = sum(trial.ending is not None for trial in coordinator.trials())
    if coordinator.owns and (ended or coordinator.num_requeued):
        console.print(
            f"Resuming: {ended} trials have ended, {coordinator.num_requeued} that were running go on", soft_wrap=True
        )
    if is_live(console):
        with Live(
            get_renderable=lambda: progress.panel(console.width), console=console, refresh_per_second=2, transient=True
        ):
            yield
        console.print(progress.line())
        return
    over = threading.Event()

    def write_lines() -> None:
        while not over.wait(LINE_SECONDS):
            console.print(progress.line(), soft_wrap=True)

    thread = threading.Thread(target=write_lines, daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        console.print(progress.line(), soft_wrap=True)


class _Progress:
    def __init__(self, coordinator: Decider) -> None:
        self._coordinator = coordinator
        self._began = time.monotonic()
        before = coordinator.trials()
        self._done_before = _places_done(before)
        self._examples_before = sum(trial.own_examples for trial in before)

    def line(self) -> Text:
        """One line that tells all: done, running, reached, examples a second, time left."""
        trials = self._coordinator.trials()
        done = _places_done(trials)
        reached = sum(trial.reached for trial in trials)
        seconds = time.monotonic() - self._began
        rate = (sum(trial.own_examples for trial in trials) - self._examples_before) / seconds
        if not trials:
            return Text(f"starting the workers ({seconds:.0f} s)")
        parts = [
            f"{done} of {self._coordinator.study.budget.trials or '?'} trials",
            f"{sum(trial.running for trial in trials)} running",
            f"{reached} reached the target",
            f"{rate:,.0f} examples/s",
            f"{self._coordinator.jobs} jobs" if self._coordinator.jobs > 1 else "",
            self._time_left(done, seconds),
        ]
        return Text("  ".join(part for part in parts if part))

    def _time_left(self, done: int, seconds: float) -> str:
        limits = []
        budget = self._coordinator.study.budget
        if budget.trials is not None and done > self._done_before:
            limits.append(seconds / (done - self._done_before) * (budget.trials - done))
        if budget.minutes is not None:
            limits.append(60 * budget.minutes - self._coordinator.elapsed_seconds)
        return f"{format_seconds(min(limits))} left" if limits and min(limits) > 0 else ""

    def panel(self, width: int) -> RenderableType:
        """The line, below the best trial of each batch size."""
        trials = self._coordinator.trials()
        return Group(best_table(self._coordinator.study.space.batch_sizes, trials, width), self.line())


def _places_done(trials: Sequence[Trial]) -> int:
    """Trials that have ended, a replaced one and the branch in its place counted once."""
    return sum(trial.ending is not None for trial in trials) - sum(trial.origin is not None for trial in trials)


_HEADINGS = ("batch size", "trials", "reached", "fewest steps", "examples", "learning rate")
_SHORT = ("batch", "trials", "reached", "steps", "examples", "rate")
_LEAST_FIRST = (4, 1, 2, 5)
"""Columns that a narrow terminal goes without."""


def best_table(batch_sizes: Sequence[int], trials: Sequence[Trial], width: int) -> Table:
    """The fewest steps to the target at each batch size so far, and the learning rate that took them."""
    rows = [_best_row(size, trials) for size in batch_sizes]
    long = fitting_columns(_HEADINGS, rows, width, _LEAST_FIRST)
    headings = _HEADINGS if len(long) == len(_HEADINGS) else _SHORT
    return table_that_fits(headings, rows, width, [headings[index] for index in _LEAST_FIRST])


def _best_row(size: int, trials: Sequence[Trial]) -> tuple[str, ...]:
    here = [trial for trial in trials if trial.recipe.global_batch_size == size and trial.origin is None]
    reached = [trial for trial in here if trial.steps_to_target is not None]
    best = min(reached, key=lambda trial: trial.steps_to_target or 0.0, default=None)
    cells = ("-", "-", "-")
    if best is not None and best.steps_to_target is not None:
        passage, most = best.passage, ""
        steps = best.steps_to_target
        if passage is not None and passage.is_bound:  # met before the first evaluation
            steps, most = passage.high, "<= "
        cells = (f"{most}{steps:,.0f}", f"{most}{steps * size:,.0f}", f"{best.recipe.learning_rate:.3g}")
    return (str(size), str(len(here)), str(len(reached)), *cells)
