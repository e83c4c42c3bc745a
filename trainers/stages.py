"""Stages of a fine-tuning: which parameters are trained, and for how long.

Each stage begins with a fresh optimizer over what it trains; the learning rate's schedule goes on across them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """``trainable`` are prefixes of parameter names; ``examples`` how long the stage is, None to the end."""

    trainable: tuple[str, ...]
    examples: int | None


EVERYTHING = (Stage(trainable=("",), examples=None),)


def stage_at(stages: Sequence[Stage], examples: int) -> int:
    """The index of the stage that a step begins in after ``examples``; the last one goes on for ever."""
    end = 0
    for index, stage in enumerate(stages[:-1]):
        end += stage.examples or 0
        if examples < end or stage.examples is None:
            return index
    return len(stages) - 1


def set_trainable(model: nn.Module, stage: Stage) -> list[nn.Parameter]:
    """Freeze all parameters but the stage's, and return these.

    Raises:
        ValueError: if no parameter is called so.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(stage.trainable))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError(f"a stage must train something; no parameter's name begins with {', '.join(stage.trainable)}")
    return trained
