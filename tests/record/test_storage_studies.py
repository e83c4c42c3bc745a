"""Whole studies with their ledger in a database: the same as with a file, for whoever runs, reads or steers them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Trial
from largebatch.studies.answer.answer import read_answer
from largebatch.studies.cli import command
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.database import fenced_storage
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.run import run_study
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy

STUDY = """\
name: small
task: digits
workers: [1]
target: {metric: val_accuracy, above: 0.8}
space:
  global_batch_size: {choices: [32]}
  learning_rate: {low: 0.05, high: 0.3, scale: log}
  norm_batch_size: 16
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 3, examples_per_trial: 3000}
resources: {checkpoint_seconds: 0}
"""


def run(out: Path, url: str | None = None, **arguments: Any) -> None:
    run_study(parse_study(STUDY, "study.yaml"), out, in_process=True, storage=url, **arguments)


def trials(out: Path) -> Sequence[Trial]:
    return read_answer(StudyDirectory.existing(out)).trials


def measured(out: Path) -> list[object]:
    """All but the seconds."""
    return [
        (
            trial.recipe, dict(trial.intermediate), trial.ending and (trial.ending.outcome, trial.examples_to_target),
            [m.values["train_loss"] for m in read_curve(out / "curves", trial.number)][1:],
        )
        for trial in trials(out)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with its ledger in a file."""
    out = tmp_path_factory.mktemp("runs") / "small"
    run(out)
    return out


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object) -> str:
    monkeypatch.setattr(sys, "argv", ["largebatch", *map(str, arguments)])
    capsys.readouterr()
    code = command()
    printed = capsys.readouterr()
    assert code == 0, printed.err
    return printed.out


def test_a_study_in_a_database_is_the_study_in_a_file(
    url: str, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "small"
    run(out, url, budget_trials=2)
    assert not (out / "ledger.log").exists()
    assert len(trials(out)) == 2
    with ThreadPoolExecutor(1) as pool:
        page = LiveStudy(out, "small", pool)
        page.refresh()
        assert page.snapshot.trials == trials(out)
        run(out)  # the directory knows where
        assert measured(out) == measured(whole)
        page.refresh()
        assert (page.snapshot.trials, page.snapshot.problem) == (trials(out), None)
    for arguments in (("show", out, "--json"), ("plan", out, "--json"), ("report", out)):
        said(capsys, monkeypatch, *arguments)
    assert '"finished"' in said(capsys, monkeypatch, "history", tmp_path, "--json")
    with pytest.raises(UserError, match=r"keeps its ledger in .* leave --storage away"):
        run(out, f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(UserError, match=r"keeps its ledger in .*ledger\.log; leave --storage away"):
        run(whole, url)
    again = tmp_path / "again" / "small"  # one name, one database, another study
    run(again, url, budget_trials=1)
    assert (len(trials(again)), len(trials(out))) == (1, 3)
    said(capsys, monkeypatch, "narrow", again, "learning_rate=0.06:0.2")
    said(capsys, monkeypatch, "enqueue", again, "learning_rate=0.11")
    run(again, url, budget_trials=2)
    assert trials(again)[1].recipe.learning_rate == 0.11
    assert len(read_answer(StudyDirectory.existing(again)).requests) == 2


@pytest.mark.slow
def test_killed_again_and_again_it_ends_as_if_it_had_been_left_alone(url: str, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    out = tmp_path / "small"
    arguments = [sys.executable, "-m", "largebatch", "run", "study.yaml", "--in-process", "--out", str(out)]
    for measurements in (1, 4, 7):
        with subprocess.Popen([*arguments, "--storage", url], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None and _num_measured(out) < measurements:
                time.sleep(0.05)
            process.kill()
        assert process.returncode == -signal.SIGKILL
    subprocess.run(arguments, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert measured(out) == measured(whole)


def _num_measured(out: Path) -> int:
    try:
        return sum(len(trial.intermediate) for trial in trials(out))
    except UserError:  # not begun
        return 0


def test_a_database_that_stays_away_ends_a_study_with_75_and_it_goes_on(
    postgresql: Any, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fenced_storage, "RECONNECT_SECONDS", 0.3)
    out = tmp_path / "small"
    write, written = fenced_storage.FencedStorage.set_trial_intermediate_value, 0

    def stop_once(*arguments: Any) -> None:
        nonlocal written
        written += 1
        if written == 4:
            postgresql.stop()
        write(*arguments)

    monkeypatch.setattr(fenced_storage.FencedStorage, "set_trial_intermediate_value", stop_once)
    try:
        with pytest.raises(SystemExit, match="did not answer for") as left:
            run(out, postgresql.new_url())
        assert left.value.code == os.EX_TEMPFAIL
        with pytest.raises(UserError, match="cannot be used"):
            trials(out)
    finally:
        postgresql.start()
    run(out)
    assert measured(out) == measured(whole)


def test_what_the_directory_remembers_is_read_or_a_sentence(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    run(out, f"sqlite:///{tmp_path / 'studies.db'}", budget_trials=1)
    facts = json.loads((out / "storage.json").read_text())
    assert re.fullmatch(r"small-[0-9a-f]{12}", facts["study"])
    for text, words in (
        ("", "storage.json is damaged"),
        ("[]", "storage.json is damaged"),
        ('{"url": "x://y", "study": "small"}', r"storage.json: a database is given as"),
        (json.dumps({**facts, "study": "small-0"}), "holds nothing of small-0"),
        (json.dumps({**facts, "url": "sqlite:///gone.db"}), "gone.db is not there"),
    ):
        (out / "storage.json").write_text(text)
        with pytest.raises(UserError, match=words):
            trials(out)
