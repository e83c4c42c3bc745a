"""Measurements in a file that grows by one line of JSON each: what it costs to add one does not grow.

A training that continues from its checkpoint measures again what came after it, so a measurement takes the place of
those that are not before it. A last line that a killed writer left half-written counts as not written.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from largebatch.spaces.files import whole_file
from largebatch.spaces.trial import Measurement


def add_measurement(measurements: list[Measurement], new: Measurement) -> None:
    """Append to a curve, in the place of what it had from that step on."""
    while measurements and measurements[-1].step >= new.step:
        measurements.pop()
    measurements.append(new)


def read_measurements(path: Path, before: Iterable[Measurement] = ()) -> list[Measurement]:
    """Those of the file, empty where it is not there; added to those ``before`` it.

    Raises:
        ValueError: if it holds what no such file holds.
        OSError: if it cannot be read.
    """
    found = list(before)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return found
    for line in text[: text.rfind(b"\n") + 1].splitlines():
        add_measurement(found, parse_measurement(line))
    return found


def parse_measurement(line: bytes) -> Measurement:
    """A line of the file.

    Raises:
        ValueError: if it is none.
    """
    try:
        step, examples, seconds, values = json.loads(line)
        return Measurement(
            step=int(step), examples=int(examples), seconds=float(seconds),
            values={str(name): float(value) for name, value in values.items()},
        )  # fmt: skip
    except (TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"no measurement: {error}") from error


class MeasurementLog:
    """Takes the place of the file at ``path``, begins it with ``before``, and appends to it.

    It writes to the file that it put there alone: what takes the place of that one later is not touched.

    Raises:
        OSError: where it cannot be written.
    """

    def __init__(self, path: Path, before: Iterable[Measurement] = ()) -> None:
        path.parent.mkdir(exist_ok=True)  # a study that was moved away is not made again
        with whole_file(path) as file:
            file.write(_lines(before))
            self._end = file.tell()
            self._descriptor = os.dup(file.fileno())
        self._path = path

    def append(self, measurements: Iterable[Measurement]) -> None:
        """On disk when this returns; or, where they cannot be written, nothing.

        Raises:
            OSError: where they cannot be written.
        """
        text = memoryview(_lines(measurements))
        try:
            begin = 0
            while begin < len(text):
                begin += os.pwrite(self._descriptor, text[begin:], self._end + begin)
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):  # else the next one is written over it
                os.ftruncate(self._descriptor, self._end)
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        self._end += len(text)

    def close(self) -> None:
        """Append nothing more."""
        os.close(self._descriptor)


def _lines(measurements: Iterable[Measurement]) -> bytes:
    rows = (
        [m.step, m.examples, m.seconds, {name: float(value) for name, value in m.values.items()}] for m in measurements
    )
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()
