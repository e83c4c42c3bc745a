"""Curves as columns, for drawing: a file is read again only when it was written anew, and the latest ones are kept."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from largebatch.studies.record.curves import SCHEMA, curve_path

MAX_POINTS = 2_000_000
"""Points that are kept; each takes 32 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One value of a trial as it trained; arrays of one length, ``seconds`` of training alone."""

    steps: NDArray[np.int64]
    examples: NDArray[np.int64]
    seconds: NDArray[np.float64]
    values: NDArray[np.float64]


class CurveReader:
    """The curves of one study. One thread at a time may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: OrderedDict[int, tuple[tuple[int, int], Mapping[str, Series]]] = OrderedDict()
        self._num_points = 0

    def curve(self, number: int) -> Mapping[str, Series]:
        """What trial ``number`` recorded, by name; empty where nothing (or nothing readable) was written."""
        try:
            status = curve_path(self._folder, number).stat()
        except OSError:
            return {}
        stamp = (status.st_mtime_ns, status.st_ino)
        known = self._kept.get(number)
        if known is not None and known[0] == stamp:
            self._kept.move_to_end(number)
            return known[1]
        series = self._read(number)
        if known is not None:
            self._num_points -= _num_points(known[1])
        self._kept[number] = (stamp, series)
        self._kept.move_to_end(number)
        self._num_points += _num_points(series)
        while self._num_points > MAX_POINTS and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._num_points -= _num_points(dropped)
        return series

    def _read(self, number: int) -> dict[str, Series]:
        try:
            table = pq.read_table(curve_path(self._folder, number), schema=SCHEMA, use_threads=False)
        except (OSError, pa.ArrowException):  # removed meanwhile, or broken: the other curves are shown
            return {}
        series = {}
        for name in pc.unique(table["name"]).to_pylist():
            rows = table.filter(pc.equal(table["name"], name))
            steps, examples, seconds, values = (
                rows[column].to_numpy() for column in ("step", "examples", "seconds", "value")
            )
            series[name] = Series(steps=steps, examples=examples, seconds=seconds, values=values)
        return series


def _num_points(series: Mapping[str, Series]) -> int:
    return sum(len(one.steps) for one in series.values())
