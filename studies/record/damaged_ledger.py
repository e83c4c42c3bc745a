"""What is wrong with a damaged ledger, in a sentence with the line and a way out."""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.studies.record.directory import later_version_told

SIGNS = (ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError, RecursionError)
"""What replaying and reading lines that no ledger has may raise, in Optuna or here."""


@contextmanager
def damage_told(path: Path, read: Callable[[Path], object]) -> Iterator[None]:
    """Turn what a damaged ledger raises into a sentence; ``read`` reads a ledger whole, and finds the line at fault.

    Raises:
        UserError: with that line, and how to go on without it.
    """
    try:
        with later_version_told(path.parent):
            yield
    except UserError:
        raise
    except SIGNS as error:
        lines = path.read_bytes().splitlines(keepends=True)
        number = _first_damaged(lines, read)
        why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        kept = (
            f"go on from what lies before that line: `head -n {number - 1} {path} > whole && mv whole {path}`, then "
            f"the same `run` again; trials recorded later are then trained again"
        )
        raise UserError(
            f"{path}, line {number} is damaged ({why}); put a copy of the file back, or "
            f"{kept if number > 1 else 'set the study aside and start again with `run --fresh`'}"
        ) from error


def _first_damaged(lines: Sequence[bytes], read: Callable[[Path], object]) -> int:
    """The first line (from 1) up to which the ledger cannot be read."""
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            lines = lines[:number]
            break
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "ledger.log"
        good, bad = 0, len(lines)  # a ledger of no lines can be read
        while bad - good > 1:
            middle = (good + bad) // 2
            trial.write_bytes(b"".join(lines[:middle]))
            try:
                read(trial)
                good = middle
            except SIGNS:
                bad = middle
    return bad
