"""A whole study in this process: the record, resuming, refusals, budgets; then the answer in every form."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.answer.answer import Answer, read_answer
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.lease.lease import Lease
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.run import run_study
from largebatch.studies.running.coordinator import Coordinator


def run(text: str, out: Path, **arguments: Any) -> Answer:
    return run_study(parse_study(text, "study.yaml"), out, in_process=True, **arguments)


def trials(out: Path) -> list[Trial]:
    return Ledger(out / "ledger.log", "small", create=False).trials()


class KilledError(Exception):
    """As if the driver had died: nothing gets to clean up after it."""


def killed_after(measurements: int) -> Any:
    """A watch that kills the study at its n-th measurement."""

    @contextmanager
    def watch(coordinator: Coordinator) -> Iterator[None]:
        seen = 0
        measure = coordinator.measure

        def counted(*arguments: Any) -> bool:
            nonlocal seen
            seen += 1
            if seen > measurements:
                raise KilledError
            return measure(*arguments)

        coordinator.measure = counted  # type: ignore[method-assign]
        yield

    return watch


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, study_text: str) -> Path:

    out = tmp_path_factory.mktemp("runs") / "small"
    run(study_text, out)
    return out


def test_the_record_of_a_finished_study(finished: Path) -> None:
    recorded = trials(finished)
    assert len(recorded) == 6
    assert all(trial.ending is not None for trial in recorded)
    assert sum(trial.reached for trial in recorded) >= 4
    for trial in recorded:
        curve = read_curve(finished / "curves", trial.number)
        assert {m.examples: m.values["val_accuracy"] for m in curve} == dict(trial.intermediate)
        assert trial.ending is not None
        assert curve[-1].step == trial.ending.step
    kept = {path.name for path in (finished / "checkpoints").glob("*")}
    assert kept == {f"trial-{trial.number:06d}.best.pt" for trial in recorded if trial.reached}
    assert len({trial.recipe.seed for trial in recorded}) == 6


def test_the_answer_of_a_finished_study(finished: Path) -> None:
    plan = json.loads((finished / "plan.json").read_text())
    assert plan["study"] == "small"
    assert [row["num_workers"] for row in plan["rows"]] == [1, 2, 4]
    row = plan["rows"][0]
    assert row["seconds_low"] <= row["seconds_to_target"] <= row["seconds_high"]
    assert row["seconds_to_target"] == pytest.approx(row["steps"] * row["step_seconds"])
    assert (finished / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_running_a_finished_study_again_changes_no_trial(finished: Path, study_text: str) -> None:
    before = trials(finished)
    run(study_text, finished)
    assert trials(finished) == before


def test_killed_and_resumed_it_equals_the_study_that_was_not(finished: Path, tmp_path: Path, study_text: str) -> None:
    out = tmp_path / "killed"
    for kill_after in (5, 4, 9):
        with pytest.raises(KilledError):
            run(study_text, out, watch=killed_after(kill_after))
        assert sum(trial.running for trial in trials(out)) == 1
    run(study_text, out)

    def essence(trial: Trial) -> Any:
        assert trial.ending is not None
        return (trial.number, trial.recipe, dict(trial.intermediate), trial.ending.step, trial.steps_to_target)

    assert [essence(trial) for trial in trials(out)] == [essence(trial) for trial in trials(finished)]
    for number in range(6):
        steps = [m.step for m in read_curve(out / "curves", number)]
        assert steps == [m.step for m in read_curve(finished / "curves", number)]


def test_a_changed_study_is_refused_with_the_difference(finished: Path, study_text: str) -> None:
    before = trials(finished)
    with pytest.raises(UserError, match="holds another study") as error:
        run(study_text.replace("seed: 1", "seed: 2"), finished)
    assert "- search.seed: 1\n+ search.seed: 2" in str(error.value)
    assert "--fresh" in str(error.value)
    assert trials(finished) == before


def test_fresh_sets_the_old_study_aside(tmp_path: Path, study_text: str) -> None:
    out = tmp_path / "small"
    short = study_text.replace("trials: 6", "trials: 2")
    run(short, out)
    run(short.replace("seed: 1", "seed: 2"), out, fresh=True)
    assert len(list(tmp_path.glob("small.*"))) == 1
    assert len(trials(next(tmp_path.glob("small.*")))) == len(trials(out)) == 2


def test_more_trials_for_a_finished_study(tmp_path: Path, study_text: str) -> None:
    out = tmp_path / "small"
    text = study_text.replace("trials: 6", "trials: 2")
    run(text, out)
    before = trials(out)
    run(text, out, budget_trials=3)
    assert trials(out)[:2] == before
    assert len(trials(out)) == 3


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("task: quick:task", "task: digit", "unknown task 'digit'; did you mean 'digits'?"),
        ("task: quick:task", "task: no.such:task", "does not import"),
        ("budget", "target: {metric: val_acc, above: 0.9}\nbudget", "unknown metric 'val_acc'; did you mean 'val_ac"),
        ("budget", "target: {metric: val_accuracy, above: 1.1}\nbudget", "can never be reached"),
        ("budget", "target: {metric: val_accuracy, above: 0.01}\nbudget", "is met before training"),
    ],
)
def test_bad_input_writes_nothing(tmp_path: Path, study_text: str, old: str, new: str, expected: str) -> None:
    with pytest.raises(UserError) as error:
        run(study_text.replace(old, new), tmp_path / "out")
    assert expected in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_target_never_reached_is_no_plan_but_a_sentence(tmp_path: Path, study_text: str) -> None:
    text = study_text.replace("trials: 6", "trials: 2").replace("examples_per_trial: 20000", "examples_per_trial: 500")
    answer = run(text, tmp_path / "out")
    assert answer.plan is None
    assert answer.problem is not None
    assert "none of 2 trials reached the target" in answer.problem
    assert "examples_per_trial" in answer.problem
    assert [trial.ending.outcome for trial in answer.trials if trial.ending] == [Outcome.EXHAUSTED] * 2


def test_directories_that_are_not_ours(tmp_path: Path, study_text: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        run(study_text, tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="holds other files and no study"):
        run(study_text, tmp_path / "full")
    with pytest.raises(UserError, match="cannot be made"):
        run(study_text, tmp_path / "file" / "below")
    assert (tmp_path / "full" / "thesis.tex").read_text() == "x"
    with pytest.raises(UserError, match="holds no study"):
        StudyDirectory.existing(tmp_path)


def test_a_directory_in_use_is_refused(finished: Path, study_text: str) -> None:
    with Lease(finished), pytest.raises(UserError, match="is in use by process"):
        run(study_text, finished)


def test_a_spent_budget_of_examples_ends_the_study(tmp_path: Path, study_text: str) -> None:
    text = study_text.replace("trials: 6", "trials: 6, examples: 3000")
    answer = run(text, tmp_path / "out")
    assert 1 <= len(answer.trials) < 6
    assert all(trial.ending is not None for trial in answer.trials)


def test_other_worker_counts_and_a_price(finished: Path) -> None:
    answer = read_answer(StudyDirectory.existing(finished), workers=[2, 8], device_hour_cost=3.0)
    assert answer.plan is not None
    assert [row.num_workers for row in answer.plan.rows] == [2, 8]
    for row in answer.plan.rows:
        assert row.cost == pytest.approx(3.0 * row.device_hours)
        assert row.local_batch_size * row.num_workers == row.global_batch_size


def test_a_study_begins_with_its_first_trials_and_resumes_among_them(tmp_path: Path, study_text: str) -> None:
    """Recipes from outside of the space, an option of the task among the dimensions; then the searcher's own."""
    (tmp_path / "limited.py").write_text(
        "import dataclasses, quick\n\n"
        "def task(interval):\n    return dataclasses.replace(quick.task(), evaluation_examples=interval)\n"
    )
    text = study_text.replace("task: quick:task", "task: limited:task").replace("trials: 6", "trials: 4")
    text = text.replace("  norm_batch_size: 16", "  norm_batch_size: 16\n  task.interval: {choices: [500, 1000]}")
    text += "first_trials: [{global_batch_size: 256, learning_rate: 2.0, task.interval: 700}, {learning_rate: 0.3}]\n"
    out = tmp_path / "out"
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(KilledError):
            run(text, out, watch=killed_after(2))
        run(text, out)
    finally:
        sys.path.remove(str(tmp_path))
    found = trials(out)
    assert [trial.number for trial in found] == [0, 1, 2, 3]
    assert [trial.why for trial in found[:2]] == ["one of the study's first trials"] * 2
    assert found[0].recipe.global_batch_size == 256
    assert [trial.recipe.task_options["interval"] for trial in found[:2]] == [700, 1000]
    assert found[1].recipe.learning_rate == 0.3
    for trial in found:
        interval = int(trial.recipe.task_options["interval"])
        size = trial.recipe.global_batch_size
        assert sorted(trial.intermediate)[1] == -(-interval // size) * size
