"""Parquet files with encoded images and labels, as the Hugging Face hub keeps them.

Columns: ``image`` (binary, or a struct with ``bytes``), ``image.bytes`` or ``jpg``; ``label`` or ``cls``, numbers or
names. The names of numbered classes are read from the hub's own entry in the file, where there is one.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.source import Entry, Source, labelled, refuse_empty_classes

_IMAGE_COLUMNS = ("image", "image.bytes", "jpg")
_LABEL_COLUMNS = ("label", "cls")


def parquet_source(files: Sequence[Path], known: tuple[str, ...] | None) -> Source:
    """The rows of all files, in their order."""
    places: list[tuple[str, int, int]] = []
    labels: list[int | str] = []
    named = known
    for file in files:
        with _opened(file) as parquet:
            column = _column(file, parquet, _LABEL_COLUMNS)
            _column(file, parquet, _IMAGE_COLUMNS)
            named = named or _class_names(parquet.schema_arrow.metadata or {}, column)
            for group in range(parquet.num_row_groups):
                values = parquet.read_row_group(group, columns=[column])[column].to_pylist()
                places += [(str(file), group, row) for row in range(len(values))]
                labels += values
    if not places:
        raise UserError(f"{files[0]}{' and the other files' if len(files) > 1 else ''} hold no rows")
    names = [f"{file}, row group {group}, row {row}" for file, group, row in places]
    missing = next((name for name, label in zip(names, labels, strict=True) if label is None), None)
    if missing is not None:
        raise UserError(f"{missing} has no label; every row must have one")
    classes, numbers = labelled(labels, names, named)
    if known is None:
        refuse_empty_classes(classes, numbers, str(files[0].parent))
    entries = [Entry(*place, number) for place, number in zip(places, numbers, strict=True)]
    return Source(kind="parquet", classes=classes, entries=entries, read=read_rows)


def read_rows(entries: Sequence[Entry]) -> Iterator[tuple[Entry, bytes | str]]:
    """The bytes of each image; a row group is read once for neighbours in ``entries``."""
    for (file, group), some in groupby(entries, lambda entry: (entry.file, entry.first)):
        rows = list(some)
        try:
            with _opened(Path(file)) as parquet:
                column = _column(Path(file), parquet, _IMAGE_COLUMNS)
                images = parquet.read_row_group(group, columns=[column]).column(0)
        except (OSError, UserError) as error:  # Arrow's own errors of damaged pages are OSErrors
            yield from ((row, str(error)) for row in rows)
            continue
        for row in rows:
            value = images[row.second].as_py()
            value = value.get("bytes") if isinstance(value, dict) else value
            yield row, value if isinstance(value, bytes) else "the row has no image bytes"


def _opened(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file} is no whole Parquet file ({error}); copy it anew") from error


def _column(file: Path, parquet: Any, names: Sequence[str]) -> str:
    found = next((name for name in names if name in parquet.schema_arrow.names), None)
    if found is None:
        have = ", ".join(parquet.schema_arrow.names)
        raise UserError(f"{file} must have a column {' or '.join(names)}; it has {have}")
    return found


def _class_names(metadata: dict[bytes, bytes], column: str) -> tuple[str, ...] | None:
    try:
        return tuple(json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"])
    except (KeyError, ValueError, TypeError):
        return None
