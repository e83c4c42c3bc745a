"""How sure a report says that it is; the figures of cost, valley and residuals; what it writes beside the page."""

import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from largebatch.search.laws.holdout import Withheld
from largebatch.spaces.errors import UserError
from largebatch.studies.answer.evidence import grounds
from largebatch.studies.views.report.figures.cost_figure import cost_figure
from largebatch.studies.views.report.figures.every import Drawn
from largebatch.studies.views.report.figures.residuals import rate_residuals, step_time_residuals, steps_residuals
from largebatch.studies.views.report.figures.valley import valley_traces
from largebatch.studies.views.report.files import figure_files
from largebatch.studies.views.report.files.figure_files import FORMATS, file_figure, write_figures
from largebatch.studies.views.report.files.markdown import markdown_report

EVIL = "<script>alert(1)</script> [a](javascript:b) | `c` *d*\n# e"


def told(found: Any) -> dict[str, str]:
    return {ground.what: ground.found for ground in found}


def test_what_was_checked_repeated_bounded_and_left_out(example: Any) -> None:
    withheld = Withheld(of="global_batch_size", at=1024, measured=80, predicted=60, low=50, high=90, error=-0.25)
    trials = example.trials()
    best = next(trial for trial in trials if trial.reached)
    trials += [replace(example.trial(63, 64, 0.4, seed=1), repeat_of=best.number)]
    found = told(grounds(trials, example.laws(), example.plan(withheld={"steps": withheld})))
    assert "predicted 60 (50 to 90), measured 80, an error of -25 %" in found["Withheld"]
    assert "B_crit = 150 examples (" in found["Critical batch size"]
    assert "B_simple = 120 examples" in found["Critical batch size"]
    assert "by a factor of 1.2" in found["Critical batch size"]
    assert "one trial repeated one recipe with other seeds" in found["Luck"]
    missed = sum(not trial.reached for trial in trials)
    assert found["Censored"].startswith(f"{missed} of 64 trials ended before the target (")
    assert "16 (low)" in found["On the edge"]
    assert found["Never reached"].startswith("At batch size 1024 ")
    assert "Left out of the laws" in found  # the repeat was not among the trials that were fitted


def test_grounds_without_laws_or_trials(example: Any) -> None:
    assert set(told(grounds(example.trials(), None, None))) == {"Censored"}
    assert grounds([], None, None) == []


def test_cost_of_a_plan(example: Any) -> None:
    figure = cost_figure(example.plan())
    lines = [trace for trace in figure["data"] if trace["mode"] == "lines" and trace["hoverinfo"] == "skip"]
    rows = example.plan().rows
    hours = next(trace for trace in lines if trace.get("yaxis") == "y2" and trace["name"] == "")
    assert hours["y"] == pytest.approx([row.device_hours for row in rows], rel=1e-3)
    assert "device-hours" in figure["layout"]["yaxis2"]["title"]["text"]
    priced = cost_figure(example.plan(rows=tuple(replace(row, cost=3 * row.device_hours) for row in rows)))
    assert "at 3 a device-hour" in priced["layout"]["yaxis2"]["title"]["text"]


def test_valley_is_lowest_at_the_best_rates(example: Any) -> None:
    (cells,) = valley_traces(example.fitted(), (50.0, 500.0))
    steps = np.array(cells["z"], dtype=float)
    assert len(cells["x"]) == steps.shape[1] + 1
    assert len(cells["y"]) == steps.shape[0] + 1
    rates = np.sqrt(np.array(cells["y"][1:]) * np.array(cells["y"][:-1]))
    lowest = rates[np.nanargmin(steps, axis=0)]
    true = [example.best_rate(size) for size in example.SIZES]
    assert np.abs(np.log(lowest / true)).max() < 0.7
    fewest = np.log10([example.STEPS_MIN * (1 + example.B_CRIT / size) for size in example.SIZES])
    assert np.abs(np.nanmin(steps, axis=0) - fewest).max() < 0.1


def test_residuals_of_laws_that_fit_are_small(example: Any) -> None:
    laws = example.fitted()
    for figure in (steps_residuals(laws), rate_residuals(laws)):
        assert figure is not None
        measured = next(trace for trace in figure["data"] if trace["name"].startswith("measured"))
        assert all(0.6 < value < 1.6 for value in measured["y"])
        assert "1" in figure["layout"]["yaxis"]["ticktext"]
    times = step_time_residuals(laws, example.profile())
    assert times is not None
    assert [trace["name"] for trace in times["data"]] == ["1 worker", "2 workers", "4 workers"]
    assert max(abs(value) for trace in times["data"] for value in trace["y"]) < 10
    assert steps_residuals(replace(laws, steps=example.steps_law("no-law"))) is None
    assert step_time_residuals(laws, None) is None


def test_markdown(example: Any) -> None:
    arguments = {
        "study_name": "digits", "target": example.TARGET, "trials": example.trials(), "laws": example.laws(),
        "facts": {"device": "one core"}, "problem": None,
    }  # fmt: skip
    text = markdown_report(plan=example.plan(), **arguments)
    assert text.startswith("## digits: val_accuracy above 0.95\n\n**With 8 workers: ")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + len(example.plan().rows)
    assert len({row.count("|") for row in rows}) == 1
    assert next(row for row in rows if "(the knee)" in row).startswith("| 8 (the knee) |")
    assert "B_simple" in text
    assert "**No plan.**" in markdown_report(plan=None, **{**arguments, "problem": "No plan."})
    evil = markdown_report(
        plan=example.plan(knee_why=EVIL), **{**arguments, "study_name": EVIL, "facts": {"device": EVIL}}
    )
    assert "<script" not in evil
    assert not re.search(r"(?<!\\)\[a", evil)
    assert len([line for line in evil.splitlines() if line.startswith("|")]) == len(rows)


def test_figures_on_paper_have_their_own_colours(example: Any) -> None:
    figure = file_figure(cost_figure(example.plan()))
    assert "var(" not in str(figure)
    assert figure["layout"]["paper_bgcolor"] == "white"


def test_missing_browser_is_the_users_to_mend(example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kaleido")
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nowhere"))
    drawn = [Drawn("cost", "Cost", "", cost_figure(example.plan()))]
    with pytest.raises(UserError, match="BROWSER_PATH"):
        write_figures(tmp_path / "figures", drawn)


@pytest.mark.slow
def test_figures_as_files(example: Any, tmp_path: Path) -> None:
    pytest.importorskip("kaleido")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))):
        pytest.skip("no chromium or chrome was found to draw with")
    drawn = [Drawn("cost", "Cost", "", cost_figure(example.plan()))]
    files = write_figures(tmp_path / "figures", drawn)
    assert [file.name for file in files] == [f"cost.{form}" for form in FORMATS]
    begin = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}
    assert all(file.read_bytes().startswith(begin[file.suffix[1:]]) for file in files)
    assert b"speed-up" in files[0].read_bytes()
    assert math.isclose(int.from_bytes(files[1].read_bytes()[16:20], "big"), figure_files.WIDTH * figure_files.SCALE)
