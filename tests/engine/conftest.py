"""A study small enough for tests."""

import pytest

STUDY = """\
name: small
task: quick:task
workers: [1, 2, 4]
space:
  global_batch_size: {choices: [32, 64, 128]}
  learning_rate: {low: 0.1, high: 1.0, scale: log}
  norm_batch_size: 16
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 6, examples_per_trial: 20000}
resources: {checkpoint_seconds: 0}
"""


@pytest.fixture(scope="session")
def study_text() -> str:
    return STUDY
