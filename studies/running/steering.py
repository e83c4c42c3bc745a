"""What people asked of a study, in its file or while it runs: recorded in the ledger, then obeyed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.requests import (
    ASKED_FOR,
    Enqueue,
    Narrow,
    Stop,
    after,
    drawn,
    narrowed,
    parse_request,
    read_requests,
)

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """A recipe that somebody wants; its trial knows it by ``name``."""

    name: str
    recipe: Recipe
    why: str


@dataclass(kw_only=True)
class Steering:
    """The requests of one study. ``folder`` need not exist; ``first`` are the recipes that the study begins with."""

    ledger: Ledger
    folder: Path
    first: Sequence[Recipe] = ()
    _asked: float = field(default=-POLL_SECONDS)
    _stops: dict[int, str] = field(default_factory=dict)

    def poll(self) -> None:
        """Record the requests that wait, at most twice a second."""
        if time.monotonic() - self._asked < POLL_SECONDS:
            return
        self._asked = time.monotonic()
        known = self.ledger.requests()
        for path, request in read_requests(self.folder).items():
            if drawn(path.stem) not in map(drawn, known):
                became, name = self._outcome(request), after(path.stem, known)
                self.ledger.record_request(name, {**request.model_dump(mode="json"), "became": became})
                known[name] = {}
            path.unlink(missing_ok=True)

    def stops(self, number: int) -> str | None:
        """Why somebody wants trial ``number`` to stop; None where nobody does."""
        return self._stops.get(number)

    def space(self, whole: Space) -> Space:
        """Where to search now."""
        return narrowed(whole, [_recorded(one) for one in self.ledger.requests().values()])

    def next_recipe(self) -> Asked | None:
        """The oldest that was asked for while the study ran and has no trial, else the next of the first ones."""
        taken = self.ledger.taken_requests()
        for name, one in sorted(self.ledger.requests().items()):
            request = _recorded(one)
            if isinstance(request, Enqueue) and name not in taken:
                return Asked(name, request.recipe, f"{ASKED_FOR} {request.by}")
        for number, recipe in enumerate(self.first):
            if (name := f"first-{number}") not in taken:
                return Asked(name, recipe, "one of the study's first trials")
        return None

    def _outcome(self, request: object) -> str:
        if not isinstance(request, Stop):
            return "taken"
        trial: Trial | None = next((one for one in self.ledger.trials() if one.number == request.trial), None)
        if trial is None or not trial.running:
            return "refused: it does not run"
        self._stops[request.trial] = f"stopped by {request.by}"
        return "taken"


def _recorded(recorded: Mapping[str, object]) -> Enqueue | Stop | Narrow:
    """A request of the ledger.

    Raises:
        UserError: if it is none that this version knows: it was taken, so that to ignore it would be wrong.
    """
    try:
        return parse_request({name: value for name, value in recorded.items() if name != "became"})
    except ValidationError as error:
        raise UserError(
            f"the ledger holds a request that this version of largebatch does not know (kind "
            f"{recorded.get('kind')!r:.60}, asked at {recorded.get('at')}): continue with the version that took it"
        ) from error
