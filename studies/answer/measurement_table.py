"""A CSV of a user's own measurements: read, checked row by row, and turned into what the laws are fitted to."""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest
from largebatch.spaces.os_fault import os_fault
from largebatch.spaces.printable import printable
from largebatch.spaces.recipe import Recipe

UNITS = ("steps", "epochs", "examples")
RATES = ("examples_per_second", "images_per_second")
"""Of all workers together: a step takes its batch size over the rate."""
TIMES = ("seconds", "step_seconds", *RATES)
PASSAGE_COLUMNS = ("evaluation_interval", "steps_low", "steps_high")
"""Between which evaluations a target was met: their distance in examples, or both in steps (the first may be 0)."""
NUMBERS = (
    *("global_batch_size", "num_workers", "learning_rate", *TIMES),
    *UNITS,
    *PASSAGE_COLUMNS,
)
WHOLE = ("global_batch_size", "num_workers")
RECIPE = frozenset(Recipe.model_fields) - {*NUMBERS, "seed"}
"""Columns that no law uses, but rows that differ in them are no repeats."""
COLUMNS = (*NUMBERS, "group", "censored")
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRow:
    """A measurement: numbers that were given, by column; ``censored`` where the target was not reached."""

    line: int
    group: str
    values: Mapping[str, float]
    """A rate (``RATES``) is here as ``step_seconds``."""
    censored: bool
    recipe: Mapping[str, str] = field(default_factory=dict)
    """Cells of ``RECIPE``."""

    @property
    def amount(self) -> float:
        """What the target took, in the file's unit."""
        return next(self.values[name] for name in UNITS if name in self.values)


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
        UserError: naming the line, the value, and what is expected.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise os_fault(error, path) from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text in UTF-8; save it as CSV in UTF-8") from error
    delimiter, num_before = _delimiter(text)
    lines = _numbered(text, delimiter, num_before)
    try:
        number, cells = next(lines, (1, []))
        heading = [name.strip() for name in cells]
        unit = _check_heading(f"{path}, line {number}", heading)
        rows, notes = _rows(path, heading, lines, comma_is_point=delimiter != ",")
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file: {error}") from error
    if not rows:
        raise UserError(f"{path} has no rows; each measurement is one, repeats are repeated rows")
    return OwnTable(path=path, rows=tuple(rows), unit=unit, notes=tuple(notes))


def _delimiter(text: str) -> tuple[str, int]:
    """What separates cells, and the number of lines before the heading: a first line ``sep=;`` says it."""
    first = text.partition("\n")[0].rstrip("\r")
    if re.fullmatch(r"sep=[,;|\t]", first, re.IGNORECASE):
        return first[-1], 1
    names = {mark: {cell.strip().strip('"') for cell in first.split(mark)} for mark in ",;\t"}
    return max(names, key=lambda mark: len(names[mark] & {*COLUMNS})), 0


def _numbered(text: str, delimiter: str, num_before: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of the line on which each begins: a cell in quotes may have several lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for _ in range(num_before):
        next(reader)
    before = reader.line_num
    for cells in reader:
        yield before + 1, cells
        before = reader.line_num


def _check_heading(where: str, heading: Sequence[str]) -> str | None:
    twice = [name for name, count in Counter(heading).items() if count > 1]
    if twice:
        raise UserError(f"{where}: the column {twice[0]!r} is there twice")
    if not heading or heading == [""]:
        raise UserError(f"{where}: a heading is expected, as in global_batch_size,steps")
    units = [name for name in heading if name in UNITS]
    if len(units) > 1:
        raise UserError(
            f"{where}: the target is told in {' and '.join(units)}; give one of {', '.join(UNITS)}, for nothing says "
            "how many examples an epoch has"
        )
    times = [name for name in heading if name in TIMES]
    if not units and not times:
        hint = nearest(next((name for name in heading if name not in COLUMNS), ""), COLUMNS)
        raise UserError(
            f"{where}: a column {', '.join(UNITS)} (to the target), or {', '.join(f'`{name}`' for name in TIMES)} with "
            f"`num_workers` is expected; got {', '.join(heading)}{hint}"
        )
    if units and "global_batch_size" not in heading:
        raise UserError(f"{where}: `{units[0]}` needs a column global_batch_size beside it")
    rates = [name for name in times if name in RATES]
    if rates and "global_batch_size" not in heading:
        raise UserError(f"{where}: `{rates[0]}` needs a column global_batch_size beside it")
    if not units and "num_workers" not in heading:
        raise UserError(f"{where}: `{times[0]}` needs a column num_workers beside it")
    return units[0] if units else None


def _rows(
    path: Path, heading: Sequence[str], lines: Iterable[tuple[int, Sequence[str]]], *, comma_is_point: bool
) -> tuple[list[OwnRow], list[str]]:
    rows: list[OwnRow] = []
    for number, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}, line {number}"
        if len(cells) != len(heading):
            raise UserError(f"{where}: {len(cells)} cells, but the heading has {len(heading)}")
        given = dict(zip(heading, (cell.strip() for cell in cells), strict=True))
        texts = {name: _with_point(given[name], where) if comma_is_point else given[name] for name in given}
        values = {name: _number(texts[name], name, where) for name in NUMBERS if given.get(name)}
        _rate_as_seconds(values, where)
        censored = given.get("censored", "").lower()
        if censored not in _TRUE + _FALSE:
            raise UserError(f"{where}: censored must be 0 or 1; got {given['censored']!r}")
        rows.append(
            OwnRow(
                line=number, group=printable(given.get("group", "")), values=values, censored=censored in _TRUE,
                recipe={name: given[name] for name in heading if name in RECIPE},
            )
        )  # fmt: skip
    unknown = [name for name in heading if name not in COLUMNS]
    notes = [f"columns that no law uses: {', '.join(unknown)}"] if unknown else []
    no_group = [row for row in rows if "group" in heading and not row.group]
    if 0 < len(no_group) < len(rows):
        notes.append(f"{len(no_group)} rows have no group; they are taken for one of their own")
    return rows, notes


def _with_point(text: str, where: str) -> str:
    """A number of a file whose cells are not separated by commas: there a comma may be a decimal point."""
    if re.fullmatch(r"[1-9]\d{0,2},\d{3}", text):
        raise UserError(f"{where}: {text} may be {text.replace(',', '.')} or {text.replace(',', '')}; write which")
    return text.replace(",", ".") if re.fullmatch(r"[+-]?\d+,\d+([eE][+-]?\d+)?", text) else text


def _rate_as_seconds(values: dict[str, float], where: str) -> None:
    """Put the seconds of a step in the place of examples a second."""
    given = [name for name in ("step_seconds", *RATES) if name in values]
    if len(given) > 1:
        raise UserError(f"{where}: {' and '.join(given)} all say how long a step takes; give one of them")
    if given and given[0] in RATES:
        if "global_batch_size" not in values:
            raise UserError(f"{where}: {given[0]} needs a global_batch_size: a step takes the one over the other")
        values["step_seconds"] = values["global_batch_size"] / values.pop(given[0])


def _number(text: str, name: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"{where}: {name} must be a number; got {text!r}") from None
    if value == 0 and name == "steps_low":
        return value
    if not math.isfinite(value) or value <= 0:
        out = "leave the row out, or mark it censored with what was trained" if name in UNITS else "leave the row out"
        raise UserError(f"{where}: {name} must be a finite number above 0; got {text}; {out}")
    if name in WHOLE and not value.is_integer():
        raise UserError(f"{where}: {name} must be a whole number; got {text}")
    return value
