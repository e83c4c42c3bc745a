"""A CSV of a user's own measurements: read, checked row by row, and turned into what the laws are fitted to."""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from largebatch.spaces.nearest import nearest
from largebatch.spaces.user_mistake import UserMistake

UNITS = ("steps", "epochs", "examples")
NUMBERS = (
    *("global_batch_size", "num_workers", "learning_rate", "seconds", "step_seconds"),
    *UNITS,
)
COLUMNS = (*NUMBERS, "group", "censored")
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRow:
    """A measurement: numbers that were given, by column; ``censored`` where the target was not reached."""

    line: int
    group: str
    values: Mapping[str, float]
    censored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTable:
    """The rows of a file, and which of ``UNITS`` its target is told in (None where only times are given)."""

    path: Path
    rows: tuple[OwnRow, ...]
    unit: str | None
    notes: tuple[str, ...]
    """What a reader should know: rows that were left out, and why."""

    @property
    def groups(self) -> Mapping[str, tuple[OwnRow, ...]]:
        """Rows by group, in the file's order."""
        names = dict.fromkeys(row.group for row in self.rows)
        return {name: tuple(row for row in self.rows if row.group == name) for name in names}


def read_table(path: Path) -> OwnTable:
    """Read and check a CSV with a heading.

    Raises:
        UserMistake: naming the line, the value, and what is expected.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserMistake(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserMistake(f"{path} is not text in UTF-8; save it as CSV in UTF-8") from error
    lines = csv.reader(text.splitlines())
    try:
        heading = [name.strip() for name in next(lines, [])]
        unit = _check_heading(path, heading)
        rows, notes = _rows(path, heading, lines)
    except csv.Error as error:
        raise UserMistake(f"{path} is not a CSV file: {error}") from error
    if not rows:
        raise UserMistake(f"{path} has no rows; each measurement is one, repeats are repeated rows")
    return OwnTable(path=path, rows=tuple(rows), unit=unit, notes=tuple(notes))


def _check_heading(path: Path, heading: Sequence[str]) -> str | None:
    where = f"{path}, line 1"
    twice = [name for name, count in Counter(heading).items() if count > 1]
    if twice:
        raise UserMistake(f"{where}: the column {twice[0]!r} is there twice")
    if not heading or heading == [""]:
        raise UserMistake(f"{where}: a heading is expected, as in global_batch_size,steps")
    units = [name for name in heading if name in UNITS]
    if len(units) > 1:
        raise UserMistake(
            f"{where}: the target is told in {' and '.join(units)}; give one of {', '.join(UNITS)}, for nothing says "
            "how many examples an epoch has"
        )
    times = [name for name in heading if name in ("seconds", "step_seconds")]
    if not units and not times:
        hint = nearest(next((name for name in heading if name not in COLUMNS), ""), COLUMNS)
        raise UserMistake(
            f"{where}: a column {', '.join(UNITS)} (to the target), or `seconds` or `step_seconds` with `num_workers` "
            f"is expected; got {', '.join(heading)}{hint}"
        )
    if units and "global_batch_size" not in heading:
        raise UserMistake(f"{where}: `{units[0]}` needs a column global_batch_size beside it")
    if not units and "num_workers" not in heading:
        raise UserMistake(f"{where}: `{times[0]}` needs a column num_workers beside it")
    return units[0] if units else None


def _rows(path: Path, heading: Sequence[str], lines: Iterable[Sequence[str]]) -> tuple[list[OwnRow], list[str]]:
    rows: list[OwnRow] = []
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}, line {number}"
        if len(cells) != len(heading):
            raise UserMistake(f"{where}: {len(cells)} cells, but the heading has {len(heading)}")
        given = dict(zip(heading, (cell.strip() for cell in cells), strict=True))
        values = {name: _number(given[name], name, where) for name in NUMBERS if given.get(name)}
        censored = given.get("censored", "").lower()
        if censored not in _TRUE + _FALSE:
            raise UserMistake(f"{where}: censored must be 0 or 1; got {given['censored']!r}")
        rows.append(
            OwnRow(line=number, group=given.get("group", ""), values=values, censored=censored in _TRUE)
        )  # fmt: skip
    unknown = [name for name in heading if name not in COLUMNS]
    notes = [f"columns that no law uses: {', '.join(unknown)}"] if unknown else []
    return rows, notes


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UserMistake(f"{where}: {name} must be a number; got {text!r}") from None
    if not math.isfinite(value) or value <= 0:
        out = "leave the row out, or mark it censored with what was trained" if name in UNITS else "leave the row out"
        raise UserMistake(f"{where}: {name} must be a finite number above 0; got {text}; {out}")
    return value
