"""What could never take a step is refused before a trial is paid for it, with the value and what to change."""

import importlib.resources
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Outcome
from largebatch.studies.answer.answer import read_answer
from largebatch.studies.question.load_task import batch_without_step, refuse_no_step
from largebatch.studies.question.new_study import NewStudy, write_new
from largebatch.studies.question.study import Study
from largebatch.studies.question.study_file import at_its_line, load_study, parse_study
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.run import run_study
from largebatch.studies.running.steering_requests import ask_for_recipe
from largebatch.studies.training.train import plan_training
from largebatch.trainers.stages import Stage
from largebatch.trainers.task import Task, load_task

from ..small_study import small_study

TEXT = """\
name: short
task: digits
workers: [1, 2]
space:
  global_batch_size: {choices: [64, 1024]}
  learning_rate: 0.5
search: {name: grid}
scheduler: {name: none}
budget: {trials: 2, examples_per_trial: 640}
"""


def task(**changes: Any) -> Task:
    data = TensorDataset(torch.zeros(100, 2), torch.zeros(100, 1))
    fields = {
        "model": lambda: nn.Linear(2, 1), "train_data": data, "validation_data": data,
        "loss": nn.functional.mse_loss, "target": Target(metric="val_loss", below=0.1),
    }  # fmt: skip
    return Task(**{**fields, **changes})


def study(text: str = TEXT, **changes: str) -> Study:
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_study(text, "study.yaml")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_examples": -5}, "max_examples must be at least 0 (0 means 40 passes over the training data); got -5"),
        ({"max_examples": float("nan")}, "max_examples must be at least 0"),
        ({"evaluation_examples": -1}, "evaluation_examples must be at least 0 (0 leaves it to the trainer); got -1"),
        ({"micro_batch_size": 0}, "micro_batch_size must be at least 1 (examples that go through"),
        ({"stages": ()}, "stages must hold at least one stage"),
        ({"stages": (Stage(trainable=("",), examples=0), Stage(trainable=("",), examples=None))}, "stage 1 must last"),
    ],
)
def test_numbers_with_which_a_task_takes_no_step(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=f"^task: {re.escape(said)}"):
        task(**changes)


def test_a_batch_of_more_examples_than_a_trial_has_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        run_study(study(), tmp_path / "out", in_process=True)
    expected = (
        "study.yaml:9: budget.examples_per_trial: 640 examples are less than one step of batch 1,024; raise it to "
        "1,024 or more, or leave out the batch"
    )
    assert str(at_its_line(caught.value, TEXT, "study.yaml")) == expected
    assert not (tmp_path / "out").exists()


def test_the_task_s_own_limit_counts_where_the_study_gives_none() -> None:
    short = study(TEXT.replace(", examples_per_trial: 640", ""))
    with pytest.raises(UserError, match=r"^space.global_batch_size: .* 640 examples that the task says, .* 1,024;"):
        refuse_no_step(short, task(max_examples=640))
    refuse_no_step(short, task(max_examples=1024))


def test_what_is_asked_for_first_and_what_grows_count_by_their_first_step() -> None:
    small = TEXT.replace("[64, 1024]", "[64, 512]")
    assert batch_without_step(study(small), task()) is None
    assert batch_without_step(study(f"{small}first_trials: [{{global_batch_size: 2048}}]\n"), task()) == 2048
    growing = TEXT.replace("  learning_rate", "  adaptive: noise-scale\n  learning_rate")
    assert batch_without_step(study(growing), task()) is None  # it begins with 32 examples


def test_every_study_that_ships_can_take_steps() -> None:
    catalog = importlib.resources.files("largebatch.studies.question.catalog")
    texts = [file.read_text() for file in catalog.iterdir() if file.name.endswith(".yaml")]
    limits = [(one, one.budget.examples_per_trial) for one in map(study, texts)]
    assert limits
    for one, limit in limits:
        assert limit is None or one.space.batch_sizes[-1] <= limit, one.name


def test_what_new_writes_for_a_hundred_thousand_workers_can_take_steps(tmp_path: Path) -> None:
    asked = NewStudy(name="many", kind="plain", most_workers=100_000, minutes=3)
    one = load_study(write_new(asked, tmp_path)[0])
    assert one.space.batch_sizes[-1] == 262_144
    refuse_no_step(one, load_task("digits", {}))


def test_a_study_that_was_begun_before_can_still_be_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a version that did not refuse it; what it says then is why nothing was measured."""
    out = tmp_path / "out"
    one = study(TEXT.replace("[64, 1024]", "[1024]"))
    with monkeypatch.context() as older:
        older.setattr("largebatch.studies.run.refuse_no_step", lambda *_: None)
        run_study(one, out, in_process=True, budget_trials=1)
    answer = run_study(one, out, in_process=True)
    assert [trial.ending.outcome for trial in answer.trials if trial.ending] == [Outcome.EXHAUSTED] * len(answer.trials)
    assert answer.problem is not None
    assert answer.problem.endswith("raise budget.examples_per_trial, of which batch 1024 could not take a single step")


def test_what_is_asked_of_a_study_can_take_a_step(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^global_batch_size: .* of 640, less than one step of batch 1,024; .* 640$"):
        ask_for_recipe(tmp_path, study(), [], {"global_batch_size": "1024"})
    assert not list(tmp_path.iterdir())


def test_a_training_is_asked_for_a_step_at_least(tmp_path: Path) -> None:
    out = tmp_path / "small"
    run_study(small_study(12_000), out, in_process=True)
    answer = read_answer(StudyDirectory.existing(out), workers=[1])
    assert answer.plan is not None
    batch = answer.plan.rows[0].global_batch_size
    with pytest.raises(UserError, match=f"^--examples: must be at least {batch}, one step .* got {batch - 1}$"):
        plan_training(out, 1, batch - 1)
    assert plan_training(out, 1, batch).max_examples == batch
