"""The curves of a study: one Parquet file a trial, a long table of trial, step, examples, seconds, name, value."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from largebatch.spaces.trial import Measurement
from largebatch.spaces.user_mistake import UserMistake
from largebatch.spaces.whole_file import whole_file

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
    with whole_file(curve_path(folder, number)) as file:
        pq.write_table(table, file)


def read_curve(folder: Path, number: int) -> list[Measurement]:
    """The curve of trial ``number``, empty where nothing was written.

    Raises:
        UserMistake: if the file is damaged.
    """
    path = curve_path(folder, number)
    if not path.exists():
        return []
    points: dict[tuple[int, int, float], dict[str, float]] = {}
    try:
        rows = pq.read_table(path, schema=SCHEMA).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(path, str(error).partition("\n")[0]) from error
    if any(value is None for row in rows for value in row.values()):
        raise _damaged(path, "values are missing")
    for row in rows:
        key = (row["step"], row["examples"], row["seconds"])
        points.setdefault(key, {})[row["name"]] = row["value"]
    return [
        Measurement(step=step, examples=examples, seconds=seconds, values=values)
        for (step, examples, seconds), values in points.items()
    ]


def _damaged(path: Path, why: str) -> UserMistake:
    return UserMistake(
        f"{path} is damaged ({why}); remove it: what the laws need of the trial is in the ledger; its curve and "
        f"measured noise scale are then missing"
    )


def read_curves(folder: Path, numbers: Sequence[int]) -> Mapping[int, list[Measurement]]:
    """The curves of several trials."""
    return {number: read_curve(folder, number) for number in numbers}


def curve_path(folder: Path, number: int) -> Path:
    """Where the curve of trial ``number`` lies."""
    return folder / f"trial-{number:06d}.parquet"
