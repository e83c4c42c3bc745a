"""A finished study with a training beside it, made once."""

from pathlib import Path

import pytest

from largebatch.studies.run import run_study
from largebatch.studies.study_file import parse_study
from largebatch.studies.train import plan_training, train

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
budget: {trials: 3, examples_per_trial: 8000}
"""


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    run_study(parse_study(STUDY, "study.yaml"), out, in_process=True)
    train(plan_training(out, 4, None), on_progress=lambda *_: None, in_process=True)
    return out
