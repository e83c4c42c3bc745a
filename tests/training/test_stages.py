"""Stages of a fine-tuning: what is frozen stays, whatever the split and wherever a training is resumed."""

import dataclasses

import pytest
import torch

from largebatch.trainers.checkpoint import copied
from largebatch.trainers.stages import EVERYTHING, Stage, stage_at
from largebatch.trainers.training import Training

from .problems import problem, recipe

STAGES = (Stage(trainable=("6.",), examples=96), Stage(trainable=("",), examples=None))


def training() -> Training:
    task = dataclasses.replace(problem(), stages=STAGES)
    changes = recipe(optimizer="adamw", learning_rate=0.01)
    return Training(task, changes, max_examples=10_000, device=torch.device("cpu"))


def weights(one: Training) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in one.model.parameters()]


def test_only_what_a_stage_names_is_trained() -> None:
    one = training()
    first = weights(one)
    for _ in range(3):  # of 32 examples: the first stage
        one.train_step()
    after = weights(one)
    names = [name for name, _ in one.model.named_parameters()]
    moved = [name for name, old, new in zip(names, first, after, strict=True) if not torch.equal(old, new)]
    assert moved == ["6.weight", "6.bias"]
    one.train_step()
    assert not any(torch.equal(old, new) for old, new in zip(after, weights(one), strict=True))


@pytest.mark.parametrize("saved_after", [2, 3, 4])
def test_a_training_goes_on_in_its_stage_bit_for_bit(saved_after: int) -> None:
    """Saved within the first stage, at its very end, and in the second."""
    whole, other = training(), training()
    for step in range(6):
        if step == saved_after:
            other.load_state(copied(whole.state()))
        whole.train_step()
    for _ in range(6 - saved_after):
        other.train_step()
    torch.testing.assert_close(other.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)


def test_stages_follow_one_another() -> None:
    stages = (Stage(trainable=("a",), examples=10), Stage(trainable=("b",), examples=5), *EVERYTHING)
    assert [stage_at(stages, examples) for examples in (0, 9, 10, 14, 15, 1_000)] == [0, 0, 1, 1, 2, 2]
    assert stage_at(EVERYTHING, 10**9) == 0


def test_a_stage_that_trains_nothing_is_refused() -> None:
    task = dataclasses.replace(problem(), stages=(Stage(trainable=("no-such",), examples=None),))
    with pytest.raises(ValueError, match="no parameter's name begins with no-such"):
        Training(task, recipe(), max_examples=100, device=torch.device("cpu"))
