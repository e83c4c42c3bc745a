"""The command line: exit codes, one message, JSON; and with real Ray a study that is killed and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from largebatch.spaces.trial import Trial
from largebatch.studies.record.ledger import Ledger

from ..fuzz.typed import typed


def command(*arguments: str | Path, cwd: Path | None = None, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "largebatch", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=timeout,
        check=False,
    )


def trials(out: Path) -> list[Trial]:
    return Ledger(out / "ledger.log", "small", create=False).trials() if (out / "ledger.log").exists() else []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "no-such-study"], "no file 'no-such-study'"),
        (["plan", "."], "holds no study"),
        (["show", "nowhere"], "holds no study"),
        (["report", "nowhere"], "holds no study"),
        (["train", "nowhere", "--workers", "2"], "holds no study"),
        (["profile", "no-such-task", "--in-process"], "unknown task 'no-such-task'"),
        (["profile", "digits", "--optimizer", "sdg"], "--optimizer: Input should be 'sgd', "),
        (["profile", "digits", "--local-batch-sizes", "48"], "must be a multiple of it; got 48"),
        (["benchmark", "no-such-task", "--in-process"], "unknown task 'no-such-task'"),
        (["benchmark", "digits", "--study", "nowhere"], "nowhere holds no study"),
        (["fit", "nothing.csv"], "nothing.csv: No such file"),
        (["fit", "nothing.csv", "--predict", "0,1"], "--predict must be whole numbers from 1 on"),
        (["cluster", "slurm"], "give either a command after `--`, or --hold to keep the nodes"),
        (["cluster", "slurm", "--nodes", "0", "--hold"], "--nodes: Input should be greater than or equal to 1"),
        (["prepare", "gw", "--out", "x", "--part", "3/2"], "--part must say which part of how many, as in 1/8"),
        (["prepare", "gw", "--out", "x", "--surrogate", "none.h5"], "NRHybSur3dq8: the surrogate's file"),
        (["plan", ".", "--workers", "1,x"], "--workers must be whole numbers from 1 on"),
    ],
)
def test_a_user_s_mistake_is_one_message_and_exit_code_2(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = typed(*arguments)
    assert result.code == 2
    assert expected in result.errors
    assert "Traceback" not in result.errors
    assert result.output == ""
    assert not list(tmp_path.iterdir())


def test_wrong_options_exit_with_2(tmp_path: Path) -> None:
    assert command("run", "quickstart", "--budget-trials", "0", cwd=tmp_path).returncode == 2
    assert command("plot", cwd=tmp_path).returncode == 2


def test_every_command_has_help_with_an_example() -> None:
    for name in ("run", "show", "plan", "train", "profile", "benchmark", "report", "list", "prepare"):
        result = command(name, "--help")
        assert result.returncode == 0
        assert f"Example: largebatch {name}" in result.stdout


def test_a_task_of_one_s_own_from_the_current_folder(tmp_path: Path, study_text: str) -> None:
    """Named ``module:function``; then every printing command, with and without JSON."""
    (tmp_path / "mine.py").write_text("import quick\n\ndef task():\n    return quick.task()\n")
    text = study_text.replace("task: quick:task", "task: mine:task").replace("trials: 6", "trials: 4")
    (tmp_path / "mine.yaml").write_text(text)
    result = command("run", "mine.yaml", "--in-process", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "4 of 4 trials" in result.stdout
    out = tmp_path / "runs" / "small"
    assert "4 trials:" in typed("show", out).output
    shown = json.loads(typed("show", out, "--json").output)
    assert len(shown["trials"]) == 4
    assert shown["running"] == []
    plan = json.loads(typed("plan", out, "--json", "--workers", "1,2").output)
    assert [row["num_workers"] for row in plan["rows"]] == [1, 2]
    assert typed("report", out, "-o", tmp_path / "page.html").output.strip() == str(tmp_path / "page.html")
    assert (tmp_path / "page.html").exists()
    assert typed("report", out, "-o", tmp_path / "page.html" / "below.html").code == 2
    assert "quickstart" in json.loads(typed("list", "--json").output)["studies"]

    arguments = ("train", out, "--workers", "2", "--in-process", "--json")
    trained = json.loads(command(*arguments, "--examples", "3000", cwd=tmp_path).stdout)
    assert trained["recipe"]["num_workers"] == 2
    assert 2_000 < trained["examples"] <= 3_000
    assert Path(tmp_path / trained["weights"]).exists()
    more = json.loads(command(*arguments, "--examples", "6000", cwd=tmp_path).stdout)
    assert 5_000 < more["examples"] <= 6_000
    assert more["recipe"] == trained["recipe"]
    refused = command("train", out, "--workers", "5000", cwd=tmp_path)
    assert (refused.returncode, "can be divided among any of [5000] workers" in refused.stderr) == (2, True)
    timed = json.loads(
        command("profile", "mine:task", "--in-process", "--local-batch-sizes", "32,64", "--json", cwd=tmp_path).stdout
    )
    assert [row["local_batch_size"] for row in timed["rows"]] == [32, 64]
    assert timed["input_examples_per_second"] > max(row["examples_per_second"] for row in timed["rows"])
    assert all(row["step_seconds_low"] <= row["step_seconds"] <= row["step_seconds_high"] for row in timed["rows"])


def test_a_broken_task_ends_the_study_with_its_reason(tmp_path: Path, study_text: str) -> None:
    (tmp_path / "broken.py").write_text(
        "import dataclasses, quick\n\n"
        "def task():\n    return dataclasses.replace(quick.task(), loss=lambda logits, targets: logits.nonsense)\n"
    )
    (tmp_path / "broken.yaml").write_text(study_text.replace("task: quick:task", "task: broken:task"))
    result = command("run", "broken.yaml", "--in-process", cwd=tmp_path)
    assert result.returncode == 2
    assert "nonsense" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_ray_that_does_not_start_is_one_message(
    tmp_path: Path, study_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sockets have no room in a path as long as many a TMPDIR of a cluster."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    (tmp_path / "small.yaml").write_text(study_text)
    result = command("run", "small.yaml", "--out", "out", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("largebatch: Ray did not start on this machine (OSError: "), result.stderr
    assert "--in-process" in result.stderr
    assert not (tmp_path / "out").exists()


def start(study: Path, out: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "largebatch", "run", str(study), "--out", str(out)]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PACE_SECONDS": "0.03"},
    )  # fmt: skip


def wait_for(condition: object, process: subprocess.Popen[str], seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the study did not get there in time"
        time.sleep(0.2)


@pytest.mark.slow
def test_interrupted_a_study_with_ray_goes_on_and_loses_no_trial(tmp_path: Path, study_text: str) -> None:
    """Ctrl-C, then the end: every trial once, finished ones unchanged. ``tests/faults`` kills."""
    study, out = tmp_path / "small.yaml", tmp_path / "out"
    study.write_text(study_text)

    process = start(study, out)
    wait_for(lambda: trials(out), process)
    refused = command("run", study, "--out", out)
    assert refused.returncode == 2
    assert f"is in use by process {process.pid} on" in refused.stderr
    wait_for(lambda: any(trial.ending for trial in trials(out)), process)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    assert "Resume with: largebatch run" in output
    finished = [trial for trial in trials(out) if trial.ending]
    assert finished

    result = command("run", study, "--out", out)
    assert result.returncode == 0, result.stdout + result.stderr
    last = trials(out)
    assert [trial.number for trial in last] == list(range(6))
    assert all(trial.ending is not None for trial in last)
    assert not any(trial.ending.reason for trial in last if trial.ending), "no trial failed"
    assert [trial for trial in last if trial.number in {one.number for one in finished}] == finished
    assert (out / "report.html").exists()
    assert json.loads((out / "profile.json").read_text())["steps"], "steps of two real workers were timed"
