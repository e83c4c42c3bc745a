"""The loop: its endings, first passage, resuming, schedules and averages."""

import dataclasses
import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Measurement, Outcome
from largebatch.trainers.data.shuffled_stream import ShuffledStream
from largebatch.trainers.run_to_target import passage_share, run_to_target
from largebatch.trainers.task import Task, load_task
from largebatch.trainers.training import Training

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> Task:
    return load_task("digits", {})


def trained(task: Task, recipe: Recipe, max_examples: int = 6_000, **arguments: object):  # type: ignore[no-untyped-def]
    measurements: list[Measurement] = []
    training = Training(task, recipe, max_examples=max_examples, device=CPU)
    arguments.setdefault("on_measurement", lambda measurement: measurements.append(measurement) or "go on")
    ending = run_to_target(training, arguments.pop("target", task.target), **arguments)  # type: ignore[arg-type]
    return training, ending, measurements


def test_digits_reach_their_target(digits: Task) -> None:
    recipe = Recipe(global_batch_size=32, learning_rate=0.2, norm_batch_size=16)
    _, ending, measurements = trained(digits, recipe, max_examples=20_000)
    assert ending.outcome is Outcome.REACHED
    assert ending.steps_to_target is not None
    assert measurements[-2].step < ending.steps_to_target <= measurements[-1].step
    assert [m.examples for m in measurements] == [32 * m.step for m in measurements]
    assert {"train_loss", "val_loss", "val_accuracy", "learning_rate"} <= set(measurements[-1].values)
    assert ending.seconds > 0


def test_exhausted(digits: Task) -> None:
    _, ending, _ = trained(digits, Recipe(global_batch_size=64, learning_rate=1e-4), max_examples=1_000)
    assert (ending.outcome, ending.step, ending.examples) == (Outcome.EXHAUSTED, 15, 960)
    assert ending.steps_to_target is None


def test_nothing_to_train(digits: Task) -> None:
    _, ending, measurements = trained(digits, Recipe(global_batch_size=64, learning_rate=0.1), max_examples=0)
    assert (ending.outcome, ending.step, len(measurements)) == (Outcome.EXHAUSTED, 0, 1)


@pytest.mark.parametrize("rate", [1e4, 1e20])
def test_divergence_is_an_outcome(digits: Task, rate: float) -> None:
    recipe = Recipe(global_batch_size=64, learning_rate=rate, weight_averaging="none")
    _, ending, _ = trained(digits, recipe)
    assert ending.outcome is Outcome.DIVERGED
    assert "training loss" in ending.reason


def test_stopped_when_told(digits: Task) -> None:
    recipe = Recipe(global_batch_size=64, learning_rate=1e-3)
    _, ending, _ = trained(
        digits, recipe, on_measurement=lambda measurement: "stop" if measurement.examples > 2_000 else "go on"
    )
    assert ending.outcome is Outcome.STOPPED
    assert 2_000 < ending.examples < 3_000


def test_resuming_is_bit_identical(digits: Task, tmp_path: Path) -> None:
    recipe = Recipe(global_batch_size=64, learning_rate=0.01, weight_decay=1e-4)
    whole, _, _ = trained(digits, recipe)
    checkpoint = tmp_path / "checkpoints" / "trial.pt"

    class KilledError(Exception):
        pass

    def kill(measurement: Measurement) -> Action:
        if measurement.examples > 3_500:
            raise KilledError
        return "go on"

    with pytest.raises(KilledError):
        trained(digits, recipe, on_measurement=kill, checkpoint=checkpoint, checkpoint_seconds=0.0)
    assert checkpoint.exists()
    resumed, _, measurements = trained(digits, recipe, checkpoint=checkpoint, checkpoint_seconds=1e9)
    assert measurements[0].examples > 2_000
    for left, right in ((whole.model, resumed.model), (whole.average.model, resumed.average.model)):
        assert all(
            torch.equal(a, b) for a, b in zip(left.state_dict().values(), right.state_dict().values(), strict=True)
        )


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_first_passage_lies_between(low: float, high: float, share: float) -> None:
    target = Target(metric="m", above=low + share * (high - low))
    before = Measurement(step=10, examples=10, seconds=1.0, values={"m": low})
    after = Measurement(step=20, examples=20, seconds=2.0, values={"m": high})
    assert 0 <= passage_share(before, after, target) <= 1


def test_first_passage_is_linear() -> None:
    before = Measurement(step=10, examples=10, seconds=1.0, values={"m": 0.2})
    after = Measurement(step=20, examples=20, seconds=2.0, values={"m": 0.6})
    assert passage_share(before, after, Target(metric="m", above=0.3)) == pytest.approx(0.25)


def test_stream_visits_every_example_once_an_epoch() -> None:
    stream = ShuffledStream(10, seed=3)
    seen = np.concatenate([stream.take(start, 4) for start in range(0, 20, 4)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert (ShuffledStream(10, seed=3).take(12, 4) == seen[12:16]).all()
    assert (stream.take(0, 35)[:20] == seen).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", "unknown task 'digit'; did you mean 'digits'?"),
        ("no.such.module:task", "does not import: ModuleNotFoundError"),
        ("math:nothing", "module 'math' has no function 'nothing'"),
        ("builtins:list", "must return a largebatch.Task; got list"),
    ],
)
def test_wrong_tasks(name: str, message: str) -> None:
    with pytest.raises(UserError, match="task: ") as error:
        load_task(name, {})
    assert message in str(error.value)


def test_options_are_keyword_arguments_of_the_task(monkeypatch: pytest.MonkeyPatch, digits: Task) -> None:
    module = types.ModuleType("own")
    module.task = lambda limit=10, noisy=False: dataclasses.replace(digits, max_examples=limit * (1 + noisy))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own", module)
    recipe = Recipe.model_validate({"global_batch_size": 1, "learning_rate": 1, "task.limit": 30, "task.noisy": True})
    assert load_task("own:task", {}).max_examples == 10
    assert load_task("own:task", recipe.task_options).max_examples == 60
    with pytest.raises(UserError, match=r"own:task takes no option 'noise'; did you mean 'noisy'\?"):
        load_task("own:task", {"noise": 1.0})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    with pytest.raises(ValueError, match="unknown hyper-parameter 'noisy'"):
        Recipe.model_validate({"global_batch_size": 1, "learning_rate": 1, "noisy": True})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"metric": "val_acuracy", "above": 0.9}, "did you mean 'val_accuracy'?"),
        ({"metric": "val_accuracy", "above": 1.5}, "can never be reached: val_accuracy lies between 0 and 1"),
        ({"metric": "val_accuracy", "below": -0.1}, "can never be reached"),
    ],
)
def test_wrong_targets(digits: Task, target: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        digits.check_target(Target.model_validate(target))
    assert message in str(error.value)


def test_val_loss_is_a_metric_of_every_task(digits: Task) -> None:
    digits.check_target(Target(metric="val_loss", below=0.1))
    values = Training(digits, Recipe(global_batch_size=1, learning_rate=1.0), max_examples=1, device=CPU).evaluate()
    assert math.isfinite(values["val_loss"])
    assert 0 <= values["val_accuracy"] <= 1
