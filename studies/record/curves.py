"""The curves of a study: one Parquet file a trial, a long table of trial, step, examples, seconds, name, value.

While a trial runs its measurements are appended to a file of lines beside it, which becomes the table when the trial
ends: ``read_curve`` reads either.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import whole_file
from largebatch.spaces.measurement_log import MeasurementLog, add_measurement, read_measurements
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


class RunningCurve:
    """The curve of a trial that runs, for its one writer; goes on from ``measurements``."""

    def __init__(self, folder: Path, number: int, measurements: Sequence[Measurement] = ()) -> None:
        self._folder, self._number = folder, number
        self._log: MeasurementLog | None = None
        self.measurements = list(measurements)

    def add(self, measurement: Measurement) -> None:
        """Append one, on disk when this returns; what was measured from its step on is forgotten."""
        if self._log is None:
            self._log = MeasurementLog(running_path(self._folder, self._number), self.measurements)
        self._log.append([measurement])
        add_measurement(self.measurements, measurement)

    def leave(self) -> None:
        """Write no more for now: the trial goes on later."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def end(self) -> None:
        """Write the table of a trial that ends."""
        self.leave()
        if self.measurements:
            write_curve(self._folder, self._number, self.measurements)


def write_curve(folder: Path, number: int, measurements: Sequence[Measurement]) -> None:
    """Write the whole curve of trial ``number``; readers see the old file or the new one, never a part."""
    folder.mkdir(exist_ok=True)
    write_table(curve_path(folder, number), number, measurements)
    running_path(folder, number).unlink(missing_ok=True)


def write_table(path: Path, number: int, measurements: Sequence[Measurement]) -> None:
    """Write a curve to ``path``, whole or not at all."""
    rows = [
        (number, m.step, m.examples, m.seconds, name, value) for m in measurements for name, value in m.values.items()
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
    table = pa.table([list(column) for column in columns], schema=SCHEMA)
    with whole_file(path) as file:
        pq.write_table(table, file)


def read_curve(folder: Path, number: int) -> list[Measurement]:
    """The curve of trial ``number``, empty where nothing was written.

    Raises:
        UserError: if a file of it is damaged.
    """
    # The lines first: should the trial end meanwhile, the table has them.
    path = running_path(folder, number)
    try:
        lines = read_measurements(path)
    except (OSError, ValueError) as error:
        raise damaged_curve(path, str(error).partition("\n")[0]) from error
    found = read_table(curve_path(folder, number))
    for measurement in lines:
        add_measurement(found, measurement)
    return found


def read_table(path: Path) -> list[Measurement]:
    """The table at ``path``, empty where there is none.

    Raises:
        UserError: if it is damaged.
    """
    if not path.exists():
        return []
    points: dict[tuple[int, int, float], dict[str, float]] = {}
    try:
        rows = pq.read_table(path, schema=SCHEMA).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:
        raise damaged_curve(path, str(error).partition("\n")[0]) from error
    if any(value is None for row in rows for value in row.values()):
        raise damaged_curve(path, "values are missing")
    for row in rows:
        key = (row["step"], row["examples"], row["seconds"])
        points.setdefault(key, {})[row["name"]] = row["value"]
    return [
        Measurement(step=step, examples=examples, seconds=seconds, values=values)
        for (step, examples, seconds), values in points.items()
    ]


def damaged_curve(path: Path, why: str) -> UserError:
    """What to raise where a file of a curve is damaged."""
    return UserError(
        f"{path} is damaged ({why}); remove it: what the laws need of the trial is in the ledger; its curve and "
        f"measured noise scale are then missing"
    )


def read_curves(folder: Path, numbers: Sequence[int]) -> Mapping[int, list[Measurement]]:
    """The curves of several trials."""
    return {number: read_curve(folder, number) for number in numbers}


def forget_curve(folder: Path, number: int) -> None:
    """Remove what lies there of a trial that begins untrained: of one that a shortened ledger has no more."""
    for path in (curve_path(folder, number), running_path(folder, number)):
        with suppress(FileNotFoundError):
            path.unlink()


def curve_path(folder: Path, number: int) -> Path:
    """Where the table of trial ``number`` lies."""
    return folder / f"trial-{number:06d}.parquet"


def running_path(folder: Path, number: int) -> Path:
    """Where its measurements lie while it runs."""
    return folder / f"trial-{number:06d}.jsonl"
