"""The fence around a task's own code: what it raises ends that trial or that command, in one line that says where."""

import asyncio
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable
from largebatch.spaces.trial import Ending, Outcome

_ENDS_A_PROCESS = (SystemExit, GeneratorExit, asyncio.CancelledError)
_MOST_LETTERS = 400
"""Of a message: torch lists every backend of an operator in some of its own."""


def failed(reason: str) -> Ending:
    """The ending of a trial that could not be trained."""
    return Ending(outcome=Outcome.FAILED, step=0, examples=0, seconds=0.0, reason=reason)


def describe(error: BaseException) -> str:
    """Kind, message and place of an error in one line; the place is the innermost that is not a library's."""
    try:
        message = printable(" ".join(str(error).split()))
    except Exception:
        message = "its message cannot be read"
    if len(message) > _MOST_LETTERS:
        message = f"{message[:_MOST_LETTERS]}.."
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if not _of_a_library(frame.filename)]
    where = "".join(f" ({Path(place.filename).name}:{place.lineno})" for place in (own or frames)[-1:])
    return f"{type(error).__name__}: {message}{where}"


@contextmanager
def contained() -> Iterator[None]:
    """Let a task's own code raise errors alone: what would end this process becomes one.

    Ctrl-C passes, and so does a subclass of ``SystemExit``: a job that leaves, which a signal raises anywhere.
    """
    try:
        yield
    except BaseException as error:
        if type(error) not in _ENDS_A_PROCESS:
            raise
        ended = RuntimeError(f"the task's own code raised {type(error).__name__}({error})")
        raise ended.with_traceback(error.__traceback__) from error


@contextmanager
def fenced(task: str) -> Iterator[None]:
    """What the code of ``task`` raises is a mistake of that task, in one line."""
    try:
        with contained():
            yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"task: {task} raised {describe(error)}; correct that, then run `largebatch check`") from error


def _of_a_library(file: str) -> bool:
    folders = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    return file.startswith(tuple(f"{folder}/" for folder in folders))
