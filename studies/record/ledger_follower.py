"""Follows a ledger that another process writes: each look reads the new lines alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable_values
from largebatch.spaces.trial import Trial
from largebatch.studies.record.damaged_ledger import SIGNS
from largebatch.studies.record.directory import later_version_told
from largebatch.studies.record.journal import Journal
from largebatch.studies.record.ledger_state import REQUEST


class LedgerReader:
    """The trials of one ledger, as far as it was read. One thread at a time may read."""

    def __init__(self, path: Path, study_name: str) -> None:
        self._path = path
        self._journal = Journal(path, study_name)

    def read(self) -> Iterator[float]:
        """Read what is new, a chunk at a time, and yield which fraction is read; a half-written last line waits.

        Raises:
            UserError: if it is no journal, or another one than before.
        """
        try:
            with later_version_told(self._path.parent):
                yield from self._journal.read()
                self._journal.state.trials()
        except UserError:
            raise
        except SIGNS as error:
            raise UserError(f"{self._path} holds what no ledger holds ({type(error).__name__}: {error})") from error

    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers; unchanged ones are the same objects as before."""
        return self._journal.state.trials()

    def requests(self) -> list[dict[str, Any]]:
        """All that was asked, in the order of asking."""
        attributes = self._journal.state.attributes
        return [printable_values(attributes[name]) for name in sorted(attributes) if name.startswith(REQUEST)]

    def elapsed_seconds(self) -> float:
        """How long the study has run, all its sessions together, as far as trials have ended."""
        return float(self._journal.state.attributes.get("elapsed_seconds", 0.0))
