"""Weight averages against their definitions."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from largebatch.spaces.recipe import Recipe
from largebatch.trainers.weight_averaging.average import WeightAverage
from largebatch.trainers.weight_averaging.make_average import make_average
from largebatch.trainers.weight_averaging.power import GAMMA


def average(model: nn.Module, **fields: object) -> WeightAverage:
    recipe = Recipe.model_validate({"global_batch_size": 10, "learning_rate": 1.0, **fields})
    made = make_average(model, recipe, 1000, another=lambda: copy.deepcopy(model))
    assert made is not None
    return made


def weight_after(steps: list[float], **fields: object) -> float:
    """The average of a single weight that takes these values."""
    model = nn.Linear(1, 1, bias=False).double()
    made = average(model, **fields)
    for step, value in enumerate(steps, start=1):
        nn.init.constant_(model.weight, value)
        made.after_step(step, 10)
    made.before_evaluation()
    return float(made.model.weight.item())  # type: ignore[operator, union-attr]


def test_the_power_average_equals_its_integral() -> None:
    """Karras et al. (2024), arXiv 2312.02696, equation 5: weights proportional to t^gamma, up to discretisation."""
    found = weight_after([float(step) for step in range(1, 2001)], weight_averaging="power")
    assert found == pytest.approx((GAMMA + 1) / (GAMMA + 2) * 2000, rel=1e-3)


def test_the_exponential_average_halves_by_examples() -> None:
    values = list(np.random.default_rng(0).normal(size=30))
    weights = 0.5 ** (np.arange(30)[::-1] * 10 / 50)  # half-life of 50 examples, 10 a step
    expected = (weights * values).sum() / weights.sum()
    assert weight_after(values, weight_averaging="ema", averaging_examples=50) == pytest.approx(expected)
    assert weight_after(values, weight_averaging="ema") == pytest.approx(expected)  # a twentieth of 1,000


def test_the_latest_average_is_of_the_last_evaluations() -> None:
    model = nn.Linear(1, 1, bias=False)
    made = average(model, weight_averaging="lawa", averaging_evaluations=3)
    for value in (1.0, 2.0, 4.0, 9.0):
        nn.init.constant_(model.weight, value)
        made.before_evaluation()
    assert made.model.weight.item() == pytest.approx(5.0)  # type: ignore[operator, union-attr]


@pytest.mark.parametrize("name", ["power", "ema", "lawa"])
def test_averages_hold_running_statistics_and_resume(name: str) -> None:
    def moved(start: int, stop: int, model: nn.Module, made: WeightAverage) -> None:
        for step in range(start, stop):
            with torch.no_grad():
                for tensor in (*model.parameters(), model[1].running_mean):  # type: ignore[index, misc]
                    tensor.add_(step)
            made.after_step(step, 10)
            made.before_evaluation()

    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    made = average(model, weight_averaging=name)
    moved(1, 4, model, made)
    other = copy.deepcopy(model)
    again = average(other, weight_averaging=name)
    again.model.load_state_dict(made.model.state_dict())
    again.load_state(made.state())
    moved(4, 8, model, made)
    moved(4, 8, other, again)
    assert not torch.equal(made.model[1].running_mean, model[1].running_mean)  # type: ignore[index, union-attr, arg-type]
    for left, right in zip(made.model.state_dict().values(), again.model.state_dict().values(), strict=True):
        assert torch.equal(left, right)
