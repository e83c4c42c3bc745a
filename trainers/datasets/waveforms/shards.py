"""Waveforms in Arrow files: written once by ``prepare``, read memory-mapped.

A folder holds ``train-00000.arrow`` and so on, likewise ``validation`` and ``test``. Each is an Arrow IPC file with
columns ``strain`` and ``labels`` (fixed-size lists of float32) in record batches of 512, and says in its schema's
metadata which generator, times and grid it is of.
"""

import bisect
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import Dataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import whole_file
from largebatch.trainers.datasets.waveforms.detector import Detector
from largebatch.trainers.datasets.waveforms.parameters import NAMES, TEST, TRAIN, VALIDATION_SAMPLE, Grid, scaled
from largebatch.trainers.datasets.waveforms.times import Times
from largebatch.trainers.datasets.waveforms.waveforms import WaveformGenerator, Waveforms

ROWS_PER_BATCH = 512
ROWS_PER_SHARD = 4_096
GRIDS = {"train": TRAIN, "validation": VALIDATION_SAMPLE, "test": TEST}


def write_shards(
    out: Path,
    generator: WaveformGenerator,
    *,
    grids: Mapping[str, Grid] = GRIDS,
    part: int = 0,
    num_parts: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the waveforms of ``grids`` to the folder ``out``, each file whole or not at all; go on where it stopped.

    Args:
        out: The folder; made if need be.
        generator: Makes the waveforms.
        grids: The parameters by the names of the files.
        part: Which of ``num_parts`` processes this is; each writes every ``num_parts``-th file.
        num_parts: Processes that share the work.
        progress: Told the number of waveforms that are there and that this part has in all.

    Raises:
        UserError: if the disk is too small, or ``out`` holds files of other waveforms.
        OSError: if the disk fills all the same.
    """
    out.mkdir(parents=True, exist_ok=True)
    starts = [(split, start) for split, grid in grids.items() for start in range(0, len(grid), ROWS_PER_SHARD)]
    mine = starts[part::num_parts]
    counts = {(split, start): min(ROWS_PER_SHARD, len(grids[split]) - start) for split, start in mine}
    paths = {(split, start): out / f"{split}-{start // ROWS_PER_SHARD:05d}.arrow" for split, start in mine}
    schemas = {split: _schema(generator, grid) for split, grid in grids.items()}
    missing = [shard for shard in mine if not _is_there(paths[shard], schemas[shard[0]])]
    total = sum(counts.values())
    done = total - sum(counts[shard] for shard in missing)
    _check_space(out, (total - done) * 4 * (generator.times.num_samples + len(NAMES)))
    progress(done, total)
    for shard in missing:
        split, start = shard
        source = Waveforms(grids[split], generator)
        _write(paths[shard], schemas[split], _record_batches(source, schemas[split], start, counts[shard]))
        done += counts[shard]
        progress(done, total)


def _schema(generator: WaveformGenerator, grid: Grid) -> pa.Schema:
    about = {"waveforms": generator.name, "times": asdict(generator.times), "grid": asdict(grid)}
    strain = pa.list_(pa.float32(), generator.times.num_samples)
    return pa.schema(
        {"strain": strain, "labels": pa.list_(pa.float32(), len(NAMES))},
        metadata={name: json.dumps(value) for name, value in about.items()},
    )


def _is_there(path: Path, schema: pa.Schema) -> bool:
    if not path.exists():
        return False
    found = _reader(path).schema
    if not found.equals(schema, check_metadata=True):
        raise UserError(
            f"prepare: {path} holds other waveforms ({_about(found)}) than asked for ({_about(schema)}); "
            f"choose another folder or remove the files of this one"
        )
    return True


def _about(schema: pa.Schema) -> str:
    return ", ".join(f"{name.decode()} {value.decode()}" for name, value in (schema.metadata or {}).items())


def _check_space(out: Path, num_bytes: int) -> None:
    free = shutil.disk_usage(out).free
    if num_bytes > free:
        raise UserError(
            f"prepare: the waveforms need {num_bytes / 1e9:.1f} GB and the disk of {out} has {free / 1e9:.1f} GB left; "
            f"choose a folder on another disk; what is written stays, and the same command goes on from there"
        )


def _record_batches(source: Waveforms, schema: pa.Schema, start: int, count: int) -> Iterable[pa.RecordBatch]:
    for first in range(start, start + count, ROWS_PER_BATCH):
        strain, labels = source.batch(torch.arange(first, min(first + ROWS_PER_BATCH, start + count)))
        columns = [
            pa.FixedSizeListArray.from_arrays(pa.array(tensor.flatten().numpy()), type=field.type)
            for tensor, field in zip((strain, labels), schema, strict=True)
        ]
        yield pa.record_batch(columns, schema=schema)


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with whole_file(path) as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


class Shards(Dataset[Any]):
    """The examples of one name in a folder that ``write_shards`` has filled; items as ``Waveforms`` has them.

    Args:
        folder: Where the files are.
        split: ``train``, ``validation`` or ``test``.
        detector: Disturbs each strain, always in the same way. For training, leave it to ``Task.augment``.
        scaled_targets: Labels between -1 and 1.
    """

    def __init__(
        self, folder: Path, split: str, *, detector: Detector | None = None, scaled_targets: bool = False
    ) -> None:
        self._paths = _paths(folder, split)
        self._ends = list(accumulate(sum(len(batch) for batch in _batches(path)) for path in self._paths))
        self._detector, self._scaled_targets = detector, scaled_targets

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        shard = bisect.bisect_right(self._ends, index)
        row = index - (self._ends[shard - 1] if shard else 0)
        batch = _batches(self._paths[shard])[row // ROWS_PER_BATCH]
        strain, targets = (_row(batch, name, row % ROWS_PER_BATCH) for name in ("strain", "labels"))
        strain = strain[None]
        if self._detector is not None:
            strain = self._detector.fixed(strain[None], torch.tensor([index]))[0]
        return strain, scaled(targets) if self._scaled_targets else targets


def shard_times(folder: Path) -> Times:
    """The times of the training waveforms in a folder."""
    metadata = _reader(_paths(folder, "train")[0]).schema.metadata
    return Times(**json.loads(metadata[b"times"]))


def _paths(folder: Path, split: str) -> list[Path]:
    paths = sorted(folder.glob(f"{split}-*.arrow"))
    if not paths:
        raise UserError(f"waveforms: {folder} has no {split}-*.arrow; write them: largebatch prepare gw --out {folder}")
    return paths


def _row(batch: pa.RecordBatch, name: str, row: int) -> Tensor:
    """A copy, for the mapped memory cannot be written."""
    column = batch.column(name)
    length = column.type.list_size
    values = column.values.to_numpy(zero_copy_only=True)
    return torch.from_numpy(np.array(values[row * length : (row + 1) * length]))


def _reader(path: Path) -> pa.ipc.RecordBatchFileReader:
    try:
        return pa.ipc.open_file(pa.memory_map(str(path)))
    except pa.ArrowInvalid as error:
        raise UserError(
            f"waveforms: {path} is not a whole Arrow file ({error}); remove it and give the command that wrote it "
            f"again: largebatch prepare gw --out {path.parent}"
        ) from error


@cache
def _batches(path: Path) -> tuple[pa.RecordBatch, ...]:
    """Kept by path and not in the data set, which thus goes to other processes without them."""
    reader = _reader(path)
    return tuple(reader.get_batch(index) for index in range(reader.num_record_batches))
