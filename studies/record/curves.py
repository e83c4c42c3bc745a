"""The curves of a study: one Parquet file a trial, a long table of trial, step, examples, seconds, name, value."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from largebatch.spaces.trial import Measurement

SCHEMA = pa.schema(
    [
        ("trial", pa.int32()),
        ("step", pa.int64()),
        ("examples", pa.int64()),
        ("seconds", pa.float64()),
        ("name", pa.string()),
        ("value", pa.float64()),
    ]
)


def write_curve(folder: Path, number: int, measurements: Sequence[Measurement]) -> None:
    """Write the whole curve of trial ``number``; readers see the old file or the new one, never a part."""
    rows = [
        (number, m.step, m.examples, m.seconds, name, value) for m in measurements for name, value in m.values.items()
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    table = pa.table([list(column) for column in columns], schema=SCHEMA)
    folder.mkdir(parents=True, exist_ok=True)
    path = curve_path(folder, number)
    temporary = path.with_suffix(".tmp")
    pq.write_table(table, temporary)
    temporary.replace(path)


def read_curve(folder: Path, number: int) -> list[Measurement]:
    """The curve of trial ``number``, empty where nothing was written."""
    path = curve_path(folder, number)
    if not path.exists():
        return []
    points: dict[tuple[int, int, float], dict[str, float]] = {}
    for row in pq.read_table(path, schema=SCHEMA).to_pylist():
        key = (row["step"], row["examples"], row["seconds"])
        points.setdefault(key, {})[row["name"]] = row["value"]
    return [
        Measurement(step=step, examples=examples, seconds=seconds, values=values)
        for (step, examples, seconds), values in points.items()
    ]


def read_curves(folder: Path, numbers: Sequence[int]) -> Mapping[int, list[Measurement]]:
    """The curves of several trials."""
    return {number: read_curve(folder, number) for number in numbers}


def curve_path(folder: Path, number: int) -> Path:
    """Where the curve of trial ``number`` lies."""
    return folder / f"trial-{number:06d}.parquet"
