"""What people ask of a study from other processes: a file each, for only the coordinator writes the ledger.

``requests/TIME-RANDOM.json`` is written whole or not at all, recorded in the ledger by its name, and only then removed:
a coordinator that is killed in between finds the record and the file, and takes neither twice. The order of asking is
that of the record: a name there has a later time than all before it, whatever the clocks of those who ask say.
"""

import getpass
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from largebatch.spaces.domain import Domain
from largebatch.spaces.files import write_whole
from largebatch.spaces.printable import printable
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial

ASKED_FOR = "asked for by"
"""Begins why a trial was proposed that a request became."""
_NAME = re.compile(r"(\d{20})-(.+)")


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Annotated[str, AfterValidator(printable)]
    at: Annotated[str, AfterValidator(printable)]


class Enqueue(_Request):
    """Train this recipe next."""

    kind: Literal["enqueue"] = "enqueue"
    recipe: Recipe


class Stop(_Request):
    """End that running trial."""

    kind: Literal["stop"] = "stop"
    trial: int


class Narrow(_Request):
    """Search only there from now on; a later one for the same name replaces it."""

    kind: Literal["narrow"] = "narrow"
    name: str
    domain: Domain


Request = Annotated[Enqueue | Stop | Narrow, Field(discriminator="kind")]


class _Read(BaseModel):
    request: Request


def asked() -> dict[str, str]:
    """Who asks, from where, and when: the fields that every request has."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for its user
        user = str(os.getuid())
    return {"by": f"{user}@{socket.gethostname()}", "at": time.strftime("%Y-%m-%d %H:%M:%S %z")}


def write_request(folder: Path, request: Enqueue | Stop | Narrow) -> None:
    """Leave a request for the coordinator."""
    folder.mkdir(exist_ok=True)
    name = after(f"{time.time_ns():020d}-{secrets.token_hex(4)}", [path.stem for path in folder.glob("*.json")])
    write_whole(folder / f"{name}.json", request.model_dump_json())


def after(name: str, others: Iterable[str]) -> str:
    """The name of a request, with a later time where that of another one is not earlier: a clock may have jumped."""
    latest = max((int(one[1]) for other in others if (one := _NAME.fullmatch(other))), default=0)
    found = _NAME.fullmatch(name)
    time_ns, rest = (int(found[1]), found[2]) if found else (0, name)
    return f"{max(time_ns, latest + 1):020d}-{rest}"


def drawn(name: str) -> str:
    """What of a request's name stays when it is recorded."""
    found = _NAME.fullmatch(name)
    return found[2] if found else name


def read_requests(folder: Path) -> dict[Path, Enqueue | Stop | Narrow]:
    """The requests that wait, oldest first; a file that is none is left alone."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path] = parse_request(json.loads(path.read_text()))
        except (OSError, ValueError, RecursionError):
            continue
    return found


def waiting_recipes(folder: Path, recorded: Sequence[Mapping[str, Any]], trials: Sequence[Trial]) -> int:
    """How many recipes were asked for and are no trials yet: in the record, and in files that it has not yet."""
    became = sum(trial.why.startswith(ASKED_FOR) for trial in trials)
    in_record = len([one for one in recorded if one.get("kind") == "enqueue"])
    return max(0, in_record - became) + sum(isinstance(one, Enqueue) for one in read_requests(folder).values())


def parse_request(data: Any) -> Enqueue | Stop | Narrow:
    """A request from plain values."""
    return _Read.model_validate({"request": data}).request


def narrowed(space: Space, requests: list[Enqueue | Stop | Narrow]) -> Space:
    """The space in which a study searches after these requests; one that would leave no space is passed over."""
    for request in requests:
        if isinstance(request, Narrow) and request.name in space.root:
            with suppress(ValidationError):  # written by hand: the commands refuse it
                space = Space.model_validate({**space.root, request.name: request.domain})
    return space
