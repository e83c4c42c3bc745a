"""Progress and tables on every terminal: narrow, dumb, without colours, and none at all."""

import io
import re
import time
from collections.abc import Sequence
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from largebatch.spaces.trial import Trial
from largebatch.studies.training.step_profile import print_profile
from largebatch.studies.views.terminal import progress as progress_module
from largebatch.studies.views.terminal.narrow import is_live
from largebatch.studies.views.terminal.progress import best_table, watch
from largebatch.studies.views.terminal.show_fit import print_fit
from largebatch.studies.views.terminal.sparkline import BARS, PLAIN_BARS, sparkline
from largebatch.testing import make_trial

SIZES = tuple(2**exponent for exponent in range(4, 17))
TRIALS = [
    make_trial(
        number, step=10**9 // size, examples=10**9, seconds=9.0, steps_to_target=1e9 / size, global_batch_size=size,
        learning_rate=0.00123,
    )
    for number, size in enumerate(SIZES)
]  # fmt: skip


class Coordinator:
    """What progress asks of a running study."""

    owns = True
    jobs = 3

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._trials = list(trials)
        self.num_requeued = 0
        self.elapsed_seconds = 100.0
        self.study = SimpleNamespace(
            budget=SimpleNamespace(trials=60, minutes=30), space=SimpleNamespace(batch_sizes=SIZES)
        )

    def trials(self) -> list[Trial]:
        return self._trials


def progress_on(environment: dict[str, str], **options: Any) -> str:
    screen = io.StringIO()
    console = Console(file=screen, _environ=environment, highlight=False, **options)
    coordinator: Any = Coordinator(TRIALS)
    with watch(coordinator, console):
        pass
    return screen.getvalue()


@pytest.mark.parametrize("width", range(20, 201, 12))
def test_no_row_of_a_table_is_wider_than_the_terminal(width: int) -> None:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(best_table(SIZES, TRIALS, width))
    lines = console.export_text().splitlines()
    assert len(lines) == len(SIZES) + 1
    assert all(cell_len(line.rstrip()) <= width for line in lines)
    assert "…" not in "".join(lines)
    assert "batch" in lines[0]
    assert "steps" in lines[0]
    assert "62,500,000" in lines[1]


@pytest.mark.parametrize("width", [32, 40, 60, 80])
def test_profile_and_fit_fit_in(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every row of their tables is whole, and what a user's file says is no markup."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    row = {"num_workers": 64, "local_batch_size": 2048, "step_seconds": 0.0123, "examples_per_second": 1.5e6}
    spread = {"step_seconds_low": 0.0111, "step_seconds_high": 0.0222}
    print_profile(
        {"task": "digits", "device": "x", "micro_batch_size": 64, "rows": [row | spread], "all_reduce": [], "links": []}
        | {"input_examples_per_second": None}
    )
    predicted = {"num_workers": 64, "global_batch_size": 2048, "value": 123456.7, "low": 100000.0, "high": 200000.0}
    predicted |= {"unit": "steps"}
    group = {"group": "[/b]", "law": "hyperbola", "verdict": "ok", "reason": "[i]", "parameters": {}, "withheld": {}}
    print_fit({"notes": [], "groups": [group | {"predictions": [predicted], "unit": "steps"}]})
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if re.match(r" +64 +2048 ", line)]
    assert len(rows) == 2
    assert all(len(line.rstrip()) <= width and "…" not in line for line in rows)
    assert "[/b]: hyperbola (ok)" in lines


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_progress_on_a_terminal_draws_over_itself(width: int) -> None:
    text = progress_on({"TERM": "xterm"}, force_terminal=True, width=width)
    assert "\x1b[" in text
    assert "13 of 60 trials" in re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    ("environment", "options"),
    [({"TERM": "dumb"}, {"force_terminal": True}), ({}, {}), ({"NO_COLOR": "1"}, {})],
    ids=["dumb", "a file", "a file without colours"],
)
def test_progress_elsewhere_is_plain_lines(environment: dict[str, str], options: dict[str, Any]) -> None:
    text = progress_on(environment, width=30, **options)
    assert "\x1b" not in text
    assert "\r" not in text
    assert [line[:15] for line in text.splitlines() if line.strip()] == ["Resuming: 13 tr", "13 of 60 trials"]


def test_without_colours_a_terminal_has_none() -> None:
    text = progress_on({"TERM": "xterm", "NO_COLOR": "1"}, force_terminal=True, width=80)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", text)


def test_lines_go_on_while_a_study_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.01)
    screen = io.StringIO()
    coordinator: Any = Coordinator([])
    with watch(coordinator, Console(file=screen)), nullcontext():
        while screen.getvalue().count("\n") < 3:
            time.sleep(0.01)
    assert {line.split(" (")[0] for line in screen.getvalue().splitlines()} == {"starting the workers"}


def test_a_dumb_terminal_is_not_drawn_over() -> None:
    assert not is_live(Console(force_terminal=True, _environ={"TERM": "dumb"}))
    assert is_live(Console(force_terminal=True, _environ={"TERM": "xterm"}))


def test_sparkline() -> None:
    assert sparkline([1, 10, 100], 1, 100) == BARS[0] + BARS[4] + BARS[-1]
    assert sparkline([1, None, float("nan"), 100], 1, 100, "ascii") == PLAIN_BARS[0] + "  " + PLAIN_BARS[-1]
    assert sparkline([5, 5], 5, 5) == BARS[0] * 2
