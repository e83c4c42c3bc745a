"""Arrow files of waveforms: what is written is read, whole or not at all."""

import itertools
import os
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from largebatch.spaces import files as whole_file
from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.waveforms import shards
from largebatch.trainers.datasets.waveforms.detector import Detector
from largebatch.trainers.datasets.waveforms.parameters import TRAIN, VALIDATION
from largebatch.trainers.datasets.waveforms.rom import Rom
from largebatch.trainers.datasets.waveforms.shards import Shards, shard_times, write_shards
from largebatch.trainers.datasets.waveforms.times import LONG_TIMES, ROM_TIMES
from largebatch.trainers.datasets.waveforms.waveforms import Waveforms
from largebatch.trainers.tasks.gw import gw

TIMES = ROM_TIMES.last(32, stride=2)
GRIDS = {"train": TRAIN.every(q=16, spin=30), "validation": VALIDATION.every(q=20, spin=40)}


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """150 training waveforms in files of 64 and batches of 20: the last of each is partial."""
    monkeypatch.setattr(shards, "ROWS_PER_SHARD", 64)
    monkeypatch.setattr(shards, "ROWS_PER_BATCH", 20)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("scaled_targets", [False, True])
def test_what_is_written_is_read(tmp_path: Path, scaled_targets: bool) -> None:
    write_shards(tmp_path, Rom(TIMES), grids=GRIDS)
    detector = Detector(step=TIMES.step, signal_to_noise=5.0, missing_fraction=0.2)
    found = Shards(tmp_path, "train", detector=detector, scaled_targets=scaled_targets)
    made = Waveforms(GRIDS["train"], Rom(TIMES), detector=detector, scaled_targets=scaled_targets)
    assert len(found) == len(made) == 150
    assert shard_times(tmp_path) == TIMES
    for index in (0, 19, 20, 63, 64, 99, 127, 128, 149):
        for left, right in zip(found[index], made[index], strict=True):
            assert torch.equal(left, right)
    assert len(pickle.dumps(found)) < 5_000, "the waveforms stay on disk"
    torch.testing.assert_close(pickle.loads(pickle.dumps(found))[7], found[7], rtol=0, atol=0)


def test_parts_make_up_the_whole(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    for part in (2, 0, 1):
        write_shards(
            tmp_path, Rom(TIMES), grids=GRIDS, part=part, num_parts=3, progress=lambda *counts: seen.append(counts)
        )
    assert files(tmp_path) == [*(f"train-0000{index}.arrow" for index in range(3)), "validation-00000.arrow"]
    assert [total for done, total in seen if done == total] == [22, 64 + 12, 64]
    assert len(Shards(tmp_path, "train")) == 150


class Failing(Rom):
    """Breaks off after some batches."""

    def __init__(self, batches: int) -> None:
        super().__init__(TIMES)
        self.left = batches

    def __call__(self, q: Tensor, s1: Tensor, s2: Tensor) -> tuple[Tensor, Tensor]:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().__call__(q, s1, s2)


def test_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_shards(tmp_path, Failing(6), grids=GRIDS)
    assert files(tmp_path) == ["train-00000.arrow"], "no half-written file"
    written = (tmp_path / "train-00000.arrow").stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    write_shards(tmp_path, Rom(TIMES), grids=GRIDS, progress=lambda *counts: seen.append(counts))
    total = sum(map(len, GRIDS.values()))
    assert seen[0] == (64, total)
    assert seen[-1] == (total, total)
    assert all(before[0] < after[0] for before, after in itertools.pairwise(seen))
    assert (tmp_path / "train-00000.arrow").stat().st_mtime_ns == written


def test_other_waveforms_are_not_mixed_in(tmp_path: Path) -> None:
    write_shards(tmp_path, Rom(TIMES), grids=GRIDS)
    with pytest.raises(UserError, match=r"train-00000.arrow holds other waveforms .*; choose another folder"):
        write_shards(tmp_path, Rom(ROM_TIMES.last(32)), grids=GRIDS)


def test_a_disk_that_is_too_small_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's grid at 400 kB a waveform."""
    monkeypatch.setattr(shards.shutil, "disk_usage", lambda path: SimpleNamespace(free=12.3e9))
    with pytest.raises(UserError, match=r"need 640\.3 GB and the disk of .* has 12\.3 GB left; choose a folder"):
        write_shards(tmp_path, Rom(LONG_TIMES), grids={"train": TRAIN})
    assert files(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's disk that is always full")
def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_file.secrets, "token_hex", lambda length: "0")
    (tmp_path / ".train-00001.arrow.0.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*train-00001.arrow'"):
        write_shards(tmp_path, Rom(TIMES), grids=GRIDS)
    assert files(tmp_path) == ["train-00000.arrow"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_file_cut_short_is_one_sentence(tmp_path: Path, share: float) -> None:
    write_shards(tmp_path, Rom(TIMES), grids=GRIDS)
    path = tmp_path / "train-00001.arrow"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"train-00001.arrow is not a whole Arrow file .*; remove it and") as caught:
        Shards(tmp_path, "train")
    assert "\n" not in str(caught.value)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no train-\*.arrow; write them: largebatch prepare gw --out"):
        gw(shards=str(tmp_path))


def test_the_task_trains_on_files(tmp_path: Path) -> None:
    write_shards(tmp_path, Rom(TIMES), grids=GRIDS)
    task = gw(shards=str(tmp_path), whiten=True)
    assert task.train_data[0][0].shape == (1, 32)
    assert isinstance(task.augment, Detector)
    assert task.augment.step == TIMES.step
