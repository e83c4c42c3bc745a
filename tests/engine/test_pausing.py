"""Pausing loses nothing; a population's branches go on from others' checkpoints and stay out of the laws."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.answer.answer import Answer
from largebatch.studies.answer.trial_text import branches_words
from largebatch.studies.question.study_file import parse_study
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.run import run_study
from largebatch.studies.running.coordinator import Coordinator
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.tasks.digits import digits
from largebatch.trainers.training import Training

CPU = torch.device("cpu")
TARGET = Target(metric="val_accuracy", above=0.999)


def run(text: str, out: Path, **arguments: Any) -> Answer:
    return run_study(parse_study(text, "study.yaml"), out, **{"in_process": True, **arguments})


def trials(out: Path) -> list[Trial]:
    return Ledger(out / "ledger.log", "small", create=False).trials()


def essence(trial: Trial) -> Any:
    ending = trial.ending
    assert ending is not None
    return trial.number, trial.recipe, dict(trial.intermediate), trial.origin, ending.step, ending.reason


@pytest.fixture(scope="module")
def population_text(study_text: str) -> str:
    """Ten trials of two batch sizes, compared after 2,000 and 4,000 examples."""
    text = study_text.replace("[32, 64, 128]", "[32, 64]").replace("low: 0.1", "low: 0.003")
    text = text.replace("scheduler: {name: none}", "scheduler: {name: pbt, perturbation_examples: 2000}")
    text = text.replace("trials: 6, examples_per_trial: 20000", "trials: 10, examples_per_trial: 5000")
    return text.replace("workers: [1, 2, 4]", "workers: [1, 2]\ntarget: {metric: val_accuracy, above: 0.96}")


@pytest.fixture(scope="module")
def population(tmp_path_factory: pytest.TempPathFactory, population_text: str) -> Path:
    out = tmp_path_factory.mktemp("runs") / "pbt"
    run(population_text, out)
    return out


@pytest.fixture(scope="module")
def unpaused(tmp_path_factory: pytest.TempPathFactory, population_text: str) -> list[Trial]:
    """The same study without pauses."""
    out = tmp_path_factory.mktemp("runs") / "none"
    run(population_text.replace("{name: pbt, perturbation_examples: 2000}", "{name: none}"), out)
    return trials(out)


@pytest.mark.parametrize("optimizer", ["nesterov", "adamw"])
def test_paused_at_every_measurement_it_is_bit_identical(tmp_path: Path, optimizer: str) -> None:
    recipe = Recipe.model_validate({"global_batch_size": 64, "learning_rate": 0.01, "optimizer": optimizer})
    whole = Training(digits(), recipe, max_examples=6_000, device=CPU)
    expected = run_to_target(whole, TARGET, on_measurement=lambda _: "go on")
    pauses = 0
    while True:
        paused = Training(digits(), recipe, max_examples=6_000, device=CPU)
        ending = run_to_target(paused, TARGET, on_measurement=lambda _: "pause", checkpoint=tmp_path / "last.pt")
        if ending.outcome is not Outcome.PREEMPTED:
            break
        pauses += 1
    assert pauses > 3
    assert (ending.outcome, ending.step) == (expected.outcome, expected.step)
    left, right = whole.state(), paused.state()
    for part in ("model", "average"):
        assert all(torch.equal(left[part][name], right[part][name]) for name in left[part])
    assert torch.equal(left["noise"]["raw"], right["noise"]["raw"])


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_another_batch_size_goes_on_from_the_same_examples(schedule: str) -> None:
    small = Recipe.model_validate({"global_batch_size": 32, "learning_rate": 0.1, "schedule": schedule})
    before = Training(digits(), small, max_examples=6_400, device=CPU)
    for _ in range(100):
        before.train_step()
    large = small.model_copy(update={"global_batch_size": 128, "learning_rate": 0.2})
    after = Training(digits(), large, max_examples=6_400, device=CPU)
    after.load_state(before.state())
    assert (after.step, after.examples, after.batch_size, after.position) == (100, 3_200, 128, 25)
    weights = before.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in after.model.state_dict().items())
    loss = after.train_step()
    assert loss.isfinite()
    assert (after.step, after.examples) == (101, 3_328)
    assert after.learning_rate == pytest.approx(0.2 * (0.5 if schedule == "cosine" else 1))


def test_the_record_of_a_population(population: Path) -> None:
    recorded = trials(population)
    assert all(trial.ending is not None for trial in recorded)
    branches = [trial for trial in recorded if trial.origin is not None]
    replaced = {trial.origin.replaces for trial in branches if trial.origin}
    assert len(recorded) - len(branches) == 10
    assert {t.number for t in recorded if t.ending and t.ending.outcome is Outcome.STOPPED} == replaced
    assert len(replaced) == len(branches) >= 2
    for trial in branches:
        assert trial.origin is not None
        assert trial.ending is not None
        parent, other = recorded[trial.origin.parent], recorded[trial.origin.replaces]
        assert parent.recipe.seed == trial.recipe.seed
        assert parent.recipe.learning_rate != trial.recipe.learning_rate
        assert parent.recipe.global_batch_size == other.recipe.global_batch_size
        assert parent.intermediate[trial.origin.examples] > other.intermediate[trial.origin.examples]
        assert min(trial.intermediate) > trial.origin.examples
        steps = {m.examples: m.step for m in read_curve(population / "curves", parent.number)}
        own = (trial.ending.examples - trial.origin.examples) / trial.recipe.global_batch_size
        assert trial.ending.step == steps[trial.origin.examples] + own
        assert f"replaced by trial {trial.number}" in (other.ending.reason if other.ending else "")
    assert not list((population / "checkpoints").glob("trial-??????.pt"))


def test_a_trial_that_paused_and_was_never_replaced_is_that_of_a_study_without_pauses(
    population: Path, unpaused: list[Trial]
) -> None:
    same = 0
    for trial in trials(population)[:10]:
        whole = unpaused[trial.number].intermediate
        assert dict(trial.intermediate) == dict(list(whole.items())[: len(trial.intermediate)])
        same += trial.intermediate == whole
    assert same >= 4


def test_killed_and_resumed_a_population_equals_the_one_that_was_not(
    population: Path, population_text: str, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    def killed_after(count: int, method: str) -> Any:
        @contextmanager
        def watch(coordinator: Coordinator) -> Iterator[None]:
            calls, real = 0, getattr(coordinator, method)

            def counted(*arguments: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls > count:
                    raise KilledError
                return real(*arguments)

            setattr(coordinator, method, counted)
            yield

        return watch

    out = tmp_path / "killed"
    kills = 0
    for count, method in ((17, "measure"), (6, "end"), (0, "_stop_paused"), (9, "measure"), (1, "_stop_paused")):
        try:
            run(population_text, out, watch=killed_after(count, method))
        except KilledError:
            kills += 1
    assert kills >= 3, "how many trials are replaced, and so how often it can be killed, hangs on a machine's rounding"
    run(population_text, out)

    def sorted_branches(path: Path) -> Any:
        """Numbers of branches and the reasons that name them hang on the order in which they were begun."""
        return sorted(
            (t.origin.replaces, t.origin.parent, t.origin.examples, t.recipe.learning_rate, max(t.intermediate))
            for t in trials(path) if t.origin is not None
        )  # fmt: skip

    assert [essence(trial)[:4] for trial in trials(out)[:10]] == [
        essence(trial)[:4] for trial in trials(population)[:10]
    ]
    assert sorted_branches(out) == sorted_branches(population)


def test_branches_stay_out_of_the_laws_and_are_told(population: Path, population_text: str) -> None:
    answer = run(population_text, population)
    numbers = {trial.number for trial in answer.trials if trial.origin is not None}
    assert numbers
    if answer.laws is not None:
        assert not numbers & {trial.number for trial in answer.laws.found.trials}
    words = branches_words(answer.trials)
    assert words.startswith(f"{len(numbers)} of the trials branch from others")


@pytest.mark.slow
def test_a_population_with_ray_pauses_without_a_trace(
    population_text: str, unpaused: list[Trial], tmp_path: Path
) -> None:
    run(population_text, tmp_path / "pbt", in_process=False)
    recorded = trials(tmp_path / "pbt")
    assert all(trial.ending is not None for trial in recorded)
    assert any(trial.origin is not None for trial in recorded)
    for trial in recorded[:10]:
        expected = unpaused[trial.number].intermediate
        assert dict(trial.intermediate) == {at: expected[at] for at in trial.intermediate}
