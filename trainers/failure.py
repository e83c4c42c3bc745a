"""The ending of a trial whose training raised an error: an outcome of that recipe, not of the study."""

import traceback
from pathlib import Path

from largebatch.spaces.trial import Ending, Outcome


def failed(reason: str) -> Ending:
    """The ending of a trial that could not be trained."""
    return Ending(outcome=Outcome.FAILED, step=0, examples=0, seconds=0.0, reason=reason)


def describe(error: Exception) -> str:
    """Kind, message and place of an error in one line."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
