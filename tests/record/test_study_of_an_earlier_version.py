"""Studies that commit da4c329 made, whose trials had no passage intervals and whose curves were rewritten whole."""

import json
import shutil
from pathlib import Path

import pytest

from largebatch.spaces.trial import Outcome
from largebatch.studies.answer.answer import read_answer
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.run import run_study

MADE = Path(__file__).parents[1] / "data" / "da4c329"
KEYS = ("num_workers", "global_batch_size", "measured")


def test_it_opens_and_plans_to_the_same_rows() -> None:
    """Steps and times within the bounds that the plan had then; not to the digit, for laws have changed since."""
    answer = read_answer(StudyDirectory(MADE / "finished"))
    assert answer.plan is not None
    rows = answer.plan.to_json()["rows"]
    then = json.loads((MADE / "finished" / "plan.json").read_text())["rows"]
    assert [[row[key] for key in KEYS] for row in rows] == [[row[key] for key in KEYS] for row in then]
    for now, before in zip(rows, then, strict=True):
        assert now["steps"] == pytest.approx(before["steps"], rel=0.05)
        assert now["recipe"]["learning_rate"] == pytest.approx(before["recipe"]["learning_rate"], rel=0.05)
        assert before["seconds_low"] < now["seconds_to_target"] < before["seconds_high"]
    reached = [trial for trial in answer.trials if trial.reached]
    assert len(reached) == 7
    for trial in reached:  # from its curve: an evaluation a pass over 1,437 examples
        assert trial.passage is not None
        assert trial.passage.low < trial.passage.middle <= trial.passage.high
        assert (trial.passage.high - trial.passage.low) * trial.recipe.global_batch_size == pytest.approx(1437, rel=0.1)


def test_killed_then_it_is_resumed_now(tmp_path: Path) -> None:
    """The trial that was killed continues from its checkpoint; undisturbed it took 134.3 steps."""
    shutil.copytree(MADE / "interrupted", tmp_path / "study")
    directory = StudyDirectory(tmp_path / "study")
    answer = run_study(directory.study(), directory.path, in_process=True)
    assert [trial.ending is not None for trial in answer.trials] == [True] * 6
    resumed = answer.trials[3]
    assert resumed.ending is not None
    assert resumed.ending.outcome is Outcome.REACHED
    assert resumed.steps_to_target == pytest.approx(134.325, rel=0.1)  # processors round differently
    assert list(resumed.intermediate)[:2] == [0, 1440]
    assert answer.plan is not None
