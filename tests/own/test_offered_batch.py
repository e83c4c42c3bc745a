"""The batch size that a click offers is one that the study takes."""

from pathlib import Path

import pytest

from largebatch.studies.question.study_file import parse_study
from largebatch.studies.running.steering_requests import ask_for_recipe, offered_batch

STUDY = """\
name: small
task: digits
workers: [1, 2]
space:
  global_batch_size: {choices: [16, 32, 64, 128]}
  learning_rate: {low: 0.1, high: 1.0, scale: log}
search: {name: halton}
scheduler: {name: none}
budget: {trials: 8, examples_per_trial: 1000}
"""


@pytest.mark.parametrize(
    ("clicked", "offered"), [(0.2, 1), (20.4, 20), (33.0, 32), (47.0, 32), (49.0, 64), (100.0, 96), (5000.0, 992)]
)
def test_what_is_offered_is_not_refused(tmp_path: Path, clicked: float, offered: int) -> None:
    study = parse_study(STUDY, "study.yaml")
    assert offered_batch(study, [], clicked) == offered
    asked = ask_for_recipe(tmp_path, study, [], {"global_batch_size": str(offered)})
    assert asked.recipe.global_batch_size == offered
