"""A trial out of what a ledger recorded of it, whether a file or a database keeps the ledger."""

from collections.abc import Mapping
from sys import intern
from typing import Any

from pydantic import TypeAdapter

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Origin, Trial

_ENDING, _ORIGIN = TypeAdapter(Ending), TypeAdapter(Origin | None)
_NUMBER, _COUNT = TypeAdapter(int | None), TypeAdapter(int)


def recorded_trial(
    number: int, recipe: Recipe, attributes: Mapping[str, Any], intermediate: Mapping[int, float], *,
    ended: bool, running: bool,
) -> Trial:  # fmt: skip
    """The trial with these user attributes; one that runs may be paused.

    Raises:
        ValueError: if they are none of a trial.
        KeyError: if one is missing.
    """
    if ended and attributes.get("ending") is None:
        raise ValueError(f"trial {number} has ended, and nothing says how")
    paused_at = _NUMBER.validate_python(attributes.get("paused_at")) if running else None
    return Trial(
        number=number,
        recipe=recipe,
        num_devices=_COUNT.validate_python(attributes["num_devices"]),
        running=running and paused_at is None,
        intermediate=intermediate,
        ending=_ENDING.validate_python(attributes["ending"]) if ended else None,
        why=intern(str(attributes.get("why", ""))),  # many trials share one
        repeat_of=_NUMBER.validate_python(attributes.get("repeat_of")),
        origin=_ORIGIN.validate_python(attributes.get("origin")),
        paused_at=paused_at,
    )
