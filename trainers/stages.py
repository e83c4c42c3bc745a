"""Stages of a fine-tuning: which parameters are trained, and for how long.

Each stage begins with a fresh optimizer over what it trains; the learning rate's schedule goes on across them. What the
model's own code froze is trained in none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from largebatch.spaces.errors import UserError


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


def set_trainable(own: Mapping[str, nn.Parameter], stage: Stage) -> list[nn.Parameter]:
    """Freeze all of the model's ``own_parameters`` but the stage's, and return these.

    Raises:
        UserError: if none is called so.
    """
    for name, parameter in own.items():
        parameter.requires_grad_(name.startswith(stage.trainable))
    trained = [parameter for parameter in own.values() if parameter.requires_grad]
    if not trained:
        raise UserError(
            f"task: a stage must train something; no parameter's name begins with {', '.join(stage.trainable)}, of "
            f"those that the model does not freeze: {', '.join(list(own)[:3])}, .."
        )
    return trained
