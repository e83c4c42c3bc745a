"""A finished study, made once."""

from pathlib import Path

import pytest

from largebatch.studies.run import run_study
from largebatch.studies.study_file import parse_study

STUDY = """\
name: small
task: digits
target: {metric: val_accuracy, above: 0.8}
workers: [1, 2, 4]
space:
  global_batch_size: {choices: [32, 64, 128]}
  learning_rate: 0.5
  norm_batch_size: 16
search: {name: grid}
scheduler: {name: none}
budget: {trials: 3, examples_per_trial: 20000}
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    run_study(parse_study(STUDY, "study.yaml"), out, in_process=True)
    return out
