"""What a guest and the owner of a study write to each other: lines of JSON, appended to a file of the writer's own.

``guests/FENCE/NAME/`` is one guest of the owner with that fence: ``asks``, which the guest writes, ``answers``, which
the owner writes, ``presence``, in which the guest shows that it lives, and ``checkpoints/``, of the trials that it has.
A file that one process appends to and another reads from the beginning needs neither locks nor renames, on NFS as well.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from largebatch.spaces.trial import Action, Ending, Measurement, Trial

FOLDER = "guests"
LONGEST_BYTES = 1_000_000
"""No message is longer."""
POLL_SECONDS = 0.1


class Message(BaseModel):
    """What one side writes to the other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=0)
    """Each of a guest's messages has the next one; an answer has that of its message."""


class Fit(Message):
    """Is there room for the checkpoints of so many trials at once?"""

    kind: Literal["fit"] = "fit"
    num_running: int = Field(ge=1)


class Next(Message):
    """Which trial comes next?"""

    kind: Literal["next"] = "next"


class Measured(Message):
    """What is the trial to do after this?"""

    kind: Literal["measured"] = "measured"
    trial: int
    measurement: Measurement


class Ended(Message):
    """The trial ended so, or paused."""

    kind: Literal["ended"] = "ended"
    trial: int
    ending: Ending


class Stopped(Message):
    """The trial was told to stop, and did."""

    kind: Literal["stopped"] = "stopped"
    trial: int


Ask = Fit | Next | Measured | Ended | Stopped


class _Read(BaseModel):
    ask: Annotated[Ask, Field(discriminator="kind")]


class Answer(Message):
    """Of the owner. With ``refused`` the guest is one no longer, and why; number 0 answers whatever it asks."""

    trial: Trial | None = None
    waits: bool = False
    action: Action | None = None
    refused: str | None = None


def parse_ask(line: bytes) -> Ask:
    """A message of a guest.

    Raises:
        ValueError: if it is none.
    """
    return _Read.model_validate({"ask": _plain(line)}).ask


def parse_answer(line: bytes) -> Answer:
    """A message of the owner.

    Raises:
        ValueError: if it is none.
    """
    return Answer.model_validate(_plain(line))


def _plain(line: bytes) -> Any:
    try:
        return json.loads(line)
    except RecursionError as error:
        raise ValueError("brackets in brackets, too many") from error


class Lines:
    """Appends to a file, or reads what was appended."""

    def __init__(self, path: Path) -> None:
        self._path, self._begin = path, 0

    def append(self, message: BaseModel) -> None:
        """One line, on disk when this returns. The file is made with the first one; its folder must be there."""
        line = json.dumps(message.model_dump(mode="json"), separators=(",", ":")).encode() + b"\n"
        try:
            with self._path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def read(self) -> list[bytes]:
        """The whole lines since the last call.

        Raises:
            ValueError: if there is one that is too long for a message.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._begin)
                text = file.read(LONGEST_BYTES)
        except FileNotFoundError:
            return []
        end = text.rfind(b"\n") + 1
        if not end and len(text) == LONGEST_BYTES:
            raise ValueError(f"a line of more than {LONGEST_BYTES} bytes")
        self._begin += end
        return text[:end].splitlines()

    def read_all(self) -> Iterator[bytes]:
        """One after the other, all whole lines that are left.

        Raises:
            ValueError: as ``read`` does.
        """
        while lines := self.read():
            yield from lines
