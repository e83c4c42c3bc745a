"""A study of three trials, which ends within seconds in process and has a plan."""

from largebatch.studies.question.study import Study
from largebatch.studies.question.study_file import parse_study

_TEXT = """\
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
"""


def small_study(examples_per_trial: int) -> Study:
    return parse_study(f"{_TEXT}budget: {{trials: 3, examples_per_trial: {examples_per_trial}}}\n", "study.yaml")
