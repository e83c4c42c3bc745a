"""The studies below a folder, as far down as there are any; damaged ones are told, and never stop the others."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from largebatch.spaces.errors import UserError
from largebatch.spaces.nearest import nearest
from largebatch.spaces.printable import printable
from largebatch.studies.answer.past_studies.condition import parse_condition
from largebatch.studies.answer.past_studies.past_study import PastStudy, read_past_study
from largebatch.studies.record.directory import is_study

_TYPES = {
    "num_trials": pa.int64(), "num_reached": pa.int64(), "examples": pa.int64(), "num_workers": pa.int64(),
    "knee": pa.int64(), "global_batch_size": pa.int64(), "learning_rate": pa.float64(), "steps": pa.float64(),
    "seconds": pa.float64(), "seconds_one_worker": pa.float64(), "speedup": pa.float64(),
}  # fmt: skip
SCHEMA = pa.schema([(field.name, _TYPES.get(field.name, pa.string())) for field in fields(PastStudy)])


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """``rows`` as ``PastStudy`` names them, ``damaged`` with a sentence each."""

    rows: Sequence[dict[str, Any]]
    num_studies: int
    """Before ``--where``."""
    damaged: Sequence[dict[str, str]]


def read_history(root: Path, *, where: str | None = None, sort: str = "-created") -> History:
    """The studies below ``root`` that meet ``where``, in the order of the column ``sort`` (with ``-``, falling).

    Raises:
        UserError: if there is no such folder or no study in it, or ``where`` or ``sort`` cannot be understood.
    """
    column = sort.removeprefix("-")
    if column not in SCHEMA.names:
        raise UserError(f"--sort: unknown column {column!r}{nearest(column, SCHEMA.names)}")
    condition = None if where is None else parse_condition(where, SCHEMA)
    if not root.is_dir():
        raise UserError(f"{root} is no folder; give the folder above your studies, such as runs")
    studies, damaged = [], []
    for folder in study_folders(root):
        try:
            row = asdict(read_past_study(folder))
            pa.Table.from_pylist([row], schema=SCHEMA)
            studies.append(row)
        except UserError as mistake:
            damaged.append({"directory": printable(str(folder)), "problem": str(mistake)})
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:  # a plan of other types
            said = printable(f"{folder / 'plan.json'} is damaged ({str(error).splitlines()[0]:.200})")
            damaged.append({"directory": printable(str(folder)), "problem": said})
    if not studies and not damaged:
        raise UserError(f"{root} holds no study, however deep; give the folder above your studies, such as runs")
    table = pa.Table.from_pylist(studies, schema=SCHEMA)
    if condition is not None:
        table = table.filter(condition)
    order = "descending" if sort.startswith("-") else "ascending"
    rows = table.sort_by([(column, order), ("directory", "ascending")]).to_pylist()
    return History(rows=rows, num_studies=len(studies), damaged=damaged)


def study_folders(root: Path) -> Iterator[Path]:
    """``root`` and what is below it, without what lies inside of a study; links are not followed."""
    for here, folders, _ in os.walk(root):
        if is_study(Path(here)):
            folders.clear()
            yield Path(here)
        else:
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
