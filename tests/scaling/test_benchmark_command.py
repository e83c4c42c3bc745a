"""`benchmark` in process: its JSON, its page, and the study that tells time to target."""

import json
from pathlib import Path

import pytest
import typer.testing

from largebatch.studies.cli import app, command


def run(*arguments: str) -> str:
    result = typer.testing.CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of digits."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "small.yaml").write_text(
        "name: small\ntask: digits\nworkers: [1, 2]\nspace:\n  global_batch_size: {choices: [32, 64]}\n"
        "  learning_rate: {low: 0.2, high: 0.8, scale: log}\n  norm_batch_size: 16\n"
        "search: {name: halton, seed: 1}\nscheduler: {name: none}\nbudget: {trials: 3, examples_per_trial: 20000}\n"
    )
    run("run", str(folder / "small.yaml"), "--out", str(folder / "out"), "--in-process")
    return folder / "out"


def test_in_process_one_worker_is_measured_and_the_others_are_predicted(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    arguments = ("benchmark", "digits", "--workers", "1,2,64", "--in-process", "-o", str(page))
    found = json.loads(run(*arguments, "--json", "--local-batch-size", "16"))
    assert [row["num_workers"] for row in found["rows"]] == [1, 2, 64]
    assert [row["measured"] for row in found["rows"]] == [True, False, False]
    assert found["local_batch_size"] == 16
    assert found["rows"][0]["speedup"] == 1
    assert found["rows"][2]["global_batch_size"] == 16 * 64
    assert all(row["efficiency"] <= 1.000001 for row in found["rows"])
    assert all(row["seconds_to_target"] is None for row in found["rows"])
    assert found["withheld"] is None
    assert found["law"]["verdict"] == "no-law"
    assert found["published"] == []
    assert "digits: scaling" in page.read_text()


def test_a_study_of_the_task_tells_time_to_target(study: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    arguments = ("benchmark", "digits", "--workers", "1,2,1000", "--in-process", "--study", str(study))
    found = json.loads(run(*arguments, "--json", "-o", str(page)))
    plan = json.loads(run("plan", str(study), "--workers", "1,2", "--json"))
    assert found["target"] == plan["target"]
    for row, planned in zip(found["rows"], plan["rows"], strict=False):
        assert row["seconds_to_target"] == pytest.approx(planned["seconds_to_target"])
        assert row["seconds_to_target_low"] == pytest.approx(planned["seconds_low"])
        assert row["planned_batch_size"] == planned["global_batch_size"]
    assert found["rows"][2]["seconds_to_target"] is None, "the plan has no batch size for so many"
    assert "Time to target" in page.read_text()
    shown = run(*arguments)
    assert "It has no row for 1000 workers" in shown


def test_a_study_of_another_task_is_refused(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["largebatch", "benchmark", "mine:task", "--study", str(study)])
    assert command() == 2
    assert "is a study of digits, not of mine:task" in capsys.readouterr().err
