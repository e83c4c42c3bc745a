"""enqueue, stop and narrow from another process while a study runs; wrong input; what `show` tells of it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.record.ledger import Ledger

from ..fuzz.typed import typed


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "largebatch", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def trials(out: Path) -> list[Trial]:
    return Ledger(out / "ledger.log", "small", create=False).trials() if (out / "ledger.log").exists() else []


def test_steering_a_running_study(tmp_path: Path, study_text: str) -> None:
    """A trial far from the target is stopped, a recipe of our own comes next, then only large batches are searched."""
    study, out = tmp_path / "small.yaml", tmp_path / "out"
    text = study_text.replace("examples_per_trial: 20000", "examples_per_trial: 4000000").replace(
        "trials: 6", "trials: 5"
    )
    study.write_text(text.replace("learning_rate: {low: 0.1, high: 1.0", "learning_rate: {low: 1.0e-6, high: 1.0e-5"))
    arguments = [sys.executable, "-m", "largebatch", "run", str(study), "--out", str(out), "--in-process"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            deadline = time.monotonic() + 200
            while not any(len(trial.intermediate) > 1 for trial in trials(out)):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            own = ("learning_rate=0.5", "global_batch_size=64")
            assert command("enqueue", out, *own).returncode == 0
            narrow = command("narrow", out, "global_batch_size=128", "--json")
            assert json.loads(narrow.stdout)["requests"][0]["domain"] == {"choices": [128], "when": None}
            assert command("stop", out, 0).returncode == 0
            while not any(trial.number > 1 and trial.running for trial in trials(out)):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            process.kill()
            process.communicate()
    first, second, third = trials(out)[:3]
    assert first.ending is not None
    assert first.ending.outcome is Outcome.STOPPED
    assert first.ending.reason.startswith("stopped by ")
    assert (second.recipe.learning_rate, second.recipe.global_batch_size) == (0.5, 64)
    assert second.recipe.norm_batch_size == 16
    assert second.why.startswith("asked for by ")
    assert second.reached
    assert third.recipe.global_batch_size == 128
    shown = json.loads(typed("show", out, "--json").output)
    assert [request["kind"] for request in shown["requests"]] == ["enqueue", "narrow", "stop"]
    (asked,) = json.loads(narrow.stdout)["requests"]
    assert asked.items() <= shown["requests"][1].items()
    one = typed("show", out, "--trial", "1").output
    assert "asked for by" in one
    assert "0.5" in one


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, study_text: str) -> Path:
    folder = tmp_path_factory.mktemp("steering")
    (folder / "small.yaml").write_text(study_text.replace("trials: 6", "trials: 1"))
    assert typed("run", folder / "small.yaml", "--out", folder / "out", "--in-process").code in (0, 2)
    return folder / "out"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("enqueue", "OUT", "learning_rat=0.3"), "did you mean 'learning_rate'?"),
        (("enqueue", "OUT", "learning_rate"), "NAME=VALUE"),
        (("enqueue", "OUT", "learning_rate=fast"), "learning_rate: "),
        (("enqueue", "OUT", "learning_rate=-1"), "learning_rate: "),
        (("enqueue", "OUT", "num_workers=4"), "num_workers: no hyper-parameter is called so"),
        (("enqueue", "OUT", "learning_rate=0.3"), "all 1 trials are spent"),
        (("enqueue", "nowhere", "learning_rate=0.3"), "holds no study"),
        (("stop", "OUT", "0"), "trial 0 does not run"),
        (("stop", "OUT", "9"), "there is no trial 9"),
        (("narrow", "OUT", "momentum=0.9"), "momentum: the study does not search it"),
        (("narrow", "OUT", "learning_rate=0.5:0.2"), "the lower end first"),
        (("narrow", "OUT", "learning_rate=0.01:0.2"), "must lie within the study's 0.1 to 1"),
        (("narrow", "OUT", "learning_rate=a:b"), "LOW:HIGH"),
        (("narrow", "OUT", "global_batch_size=48"), "48 is not among the study's choices 32, 64, 128"),
        (("show", "OUT", "--trial", "7"), "there is no trial 7"),
    ],
)
def test_a_mistake_is_one_sentence_and_asks_nothing(finished: Path, arguments: tuple[str, ...], expected: str) -> None:
    result = typed(*(str(finished) if argument == "OUT" else argument for argument in arguments))
    assert result.code == 2
    assert expected in result.errors
    assert "Traceback" not in result.errors
    assert not list((finished / "requests").glob("*")) if (finished / "requests").exists() else True
