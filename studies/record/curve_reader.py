"""Curves for drawing and for copies: a file is read again only when it was written again, a growing one only as far as
it has grown, and the latest ones are kept."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from largebatch.spaces.errors import UserError
from largebatch.spaces.measurement_log import add_measurement, parse_measurement
from largebatch.spaces.trial import Measurement
from largebatch.studies.record.curves import curve_path, damaged_curve, read_table, running_path

MAX_POINTS = 2_000_000
"""Points that are kept; each takes 32 bytes as a column, and about 100 while its trial runs."""
_Stamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One value of a trial as it trained; arrays of one length, ``seconds`` of training alone."""

    steps: NDArray[np.int64]
    examples: NDArray[np.int64]
    seconds: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(slots=True, kw_only=True)
class _Kept:
    table: _Stamp
    lines: int
    """The inode of the file of lines, 0 where there is none."""
    read_bytes: int = 0
    measurements: list[Measurement] = field(default_factory=list)
    series: Mapping[str, Series] | None = None

    @property
    def num_points(self) -> int:
        columns = sum(len(one.steps) for one in (self.series or {}).values())
        return columns + sum(len(one.values) for one in self.measurements[-1:]) * len(self.measurements)


class CurveReader:
    """The curves of one study. One thread at a time may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    def measurements(self, number: int) -> Sequence[Measurement]:
        """What trial ``number`` measured; empty where nothing was written.

        Raises:
            UserError: if a file of it is damaged.
        """
        kept = self._read(number)
        if not kept.lines:  # it has ended, and will hardly be asked for again
            del self._kept[number]
            return kept.measurements or read_table(curve_path(self._folder, number))
        return kept.measurements

    def curve(self, number: int) -> Mapping[str, Series]:
        """The same as columns, by name; empty too where nothing readable was written."""
        try:
            kept = self._read(number)
        except UserError:  # the other curves are shown
            return {}
        if kept.series is None:
            kept.series = _columns(kept.measurements)
            if not kept.lines:
                kept.measurements = []
        return kept.series

    def _read(self, number: int) -> _Kept:
        lines, size_bytes = 0, 0
        if (status := _status(running_path(self._folder, number))) is not None:
            lines, size_bytes = status[1], status[2]
        status = _status(curve_path(self._folder, number))
        table = None if status is None else (status[0], status[1])
        kept = self._kept.get(number)
        if kept is None or kept.table != table or kept.lines != lines or size_bytes < kept.read_bytes:
            kept = _Kept(table=table, lines=lines, measurements=read_table(curve_path(self._folder, number)))
        if size_bytes > kept.read_bytes:
            self._read_lines(number, kept)
        self._kept[number] = kept
        self._kept.move_to_end(number)
        num_points = sum(one.num_points for one in self._kept.values())
        while num_points > MAX_POINTS and len(self._kept) > 1:
            num_points -= self._kept.popitem(last=False)[1].num_points
        return kept

    def _read_lines(self, number: int, kept: _Kept) -> None:
        """Take what was appended since the last look."""
        path = running_path(self._folder, number)
        try:
            with path.open("rb") as file:
                file.seek(kept.read_bytes)
                text = file.read()
            end = text.rfind(b"\n") + 1
            for line in text[:end].splitlines():
                add_measurement(kept.measurements, parse_measurement(line))
        except OSError:  # it ended meanwhile
            return
        except ValueError as error:
            raise damaged_curve(path, str(error).partition("\n")[0]) from error
        kept.read_bytes += end
        kept.series = None


def _status(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _columns(measurements: Sequence[Measurement]) -> dict[str, Series]:
    rows: dict[str, list[tuple[int, int, float, float]]] = {}
    for one in measurements:
        for name, value in one.values.items():
            rows.setdefault(name, []).append((one.step, one.examples, one.seconds, value))
    series = {}
    for name, points in rows.items():
        steps, examples, seconds, values = zip(*points, strict=True)
        series[name] = Series(
            steps=np.array(steps, dtype=np.int64), examples=np.array(examples, dtype=np.int64),
            seconds=np.array(seconds, dtype=float), values=np.array(values, dtype=float),
        )  # fmt: skip
    return series
