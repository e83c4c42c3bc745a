"""The curve of a trial that runs: appended to, whole at every byte, a table in the end; a checkpoint without it."""

import errno
import itertools
import os
from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Measurement
from largebatch.studies.record.curve_reader import CurveReader
from largebatch.studies.record.curves import RunningCurve, curve_path, read_curve, running_path, write_curve


def measurement(step: int, loss: float = 0.5) -> Measurement:
    return Measurement(step=step, examples=64 * step, seconds=0.1 * step, values={"loss": loss, "nan": float("inf")})


def test_an_evaluation_adds_its_own_line_and_the_end_makes_a_table(tmp_path: Path) -> None:
    curve, sizes = RunningCurve(tmp_path, 3), []
    for step in range(100, 200):
        curve.add(measurement(step))
        sizes.append(running_path(tmp_path, 3).stat().st_size)
    assert {later - earlier for earlier, later in itertools.pairwise(sizes)} <= set(range(40, 70))
    assert read_curve(tmp_path, 3) == [measurement(step) for step in range(100, 200)]
    assert not curve_path(tmp_path, 3).exists()
    curve.end()
    assert read_curve(tmp_path, 3) == [measurement(step) for step in range(100, 200)]
    assert [path.name for path in tmp_path.iterdir()] == ["trial-000003.parquet"]


def test_cut_at_every_byte_what_was_whole_is_read_and_continued(tmp_path: Path) -> None:
    curve = RunningCurve(tmp_path, 0)
    for step in range(3):
        curve.add(measurement(step))
    curve.leave()
    path = running_path(tmp_path, 0)
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        lines = whole[:length].count(b"\n")
        assert read_curve(tmp_path, 0) == [measurement(step) for step in range(lines)]
    path.write_bytes(whole[:-5])
    later = RunningCurve(tmp_path, 0, read_curve(tmp_path, 0))
    later.add(measurement(2, 0.25))
    assert read_curve(tmp_path, 0) == [measurement(0), measurement(1), measurement(2, 0.25)]


def test_a_trial_that_continues_from_its_checkpoint_measures_again(tmp_path: Path) -> None:
    """Also where an earlier version wrote the table while the trial ran, and its driver died between the two files."""
    write_curve(tmp_path, 0, [measurement(step) for step in range(4)])
    curve = RunningCurve(tmp_path, 0, read_curve(tmp_path, 0))
    curve.add(measurement(2, 0.25))
    wanted = [measurement(0), measurement(1), measurement(2, 0.25)]
    assert read_curve(tmp_path, 0) == curve.measurements == wanted
    lines = running_path(tmp_path, 0).read_bytes()
    curve.end()
    running_path(tmp_path, 0).write_bytes(lines)
    assert read_curve(tmp_path, 0) == wanted


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = RunningCurve(tmp_path, 0)
    curve.add(measurement(0))
    pwrite = os.pwrite

    def half(descriptor: int, text: memoryview, at: int) -> int:
        pwrite(descriptor, text[:9], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OSError, match=r"trial-000000\.jsonl"):
        curve.add(measurement(1))
    monkeypatch.setattr(os, "pwrite", pwrite)
    assert read_curve(tmp_path, 0) == [measurement(0)]
    curve.add(measurement(1))
    assert read_curve(tmp_path, 0) == [measurement(0), measurement(1)]


def test_a_reader_takes_what_was_added_and_the_table_after_it(tmp_path: Path) -> None:
    reader, curve = CurveReader(tmp_path), RunningCurve(tmp_path, 0)
    for step in range(3):
        curve.add(measurement(step))
        assert reader.curve(0)["loss"].steps.tolist() == list(range(step + 1))
        assert list(reader.measurements(0)) == curve.measurements
    curve.add(measurement(1))
    assert reader.curve(0)["loss"].steps.tolist() == [0, 1]
    curve.end()
    assert reader.curve(0)["loss"].steps.tolist() == [0, 1]
    assert reader.curve(0) is reader.curve(0)
    assert list(reader.measurements(0)) == [measurement(0), measurement(1)]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    running_path(tmp_path, 0).write_text('[1,64,0.1,{"loss":0.5}]\n[1,2]\n')
    with pytest.raises(UserError, match=r"trial-000000\.jsonl is damaged"):
        read_curve(tmp_path, 0)
    assert CurveReader(tmp_path).curve(0) == {}
