"""Images to shards: in parallel, resumable, every image decoded once; and the check of what was made.

The images are shuffled once, always alike, so that neighbours in a shard are of different classes.
"""

import hashlib
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.decode import UnreadableImage, codecs, decode, reductions, shrink
from largebatch.trainers.datasets.images.manifest import (
    VERSION,
    Manifest,
    Origin,
    Progress,
    Shard,
    Unreadable,
    manifests,
)
from largebatch.trainers.datasets.images.open_source import open_source
from largebatch.trainers.datasets.images.shard_file import is_whole, write_shard
from largebatch.trainers.datasets.images.source import Entry, Source

ROWS_PER_SHARD = 2048
BLOCK_ROWS = 64
"""Rows of a record batch: 4 MB of ImageNet, what a file server reads well at once."""

Told = Callable[[str, int, int], None]
"""Called with a split, its images done, and all its images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One shard to make, or to keep as ``finished`` says."""

    path: Path
    entries: Sequence[Entry]
    read: Callable[[Sequence[Entry]], Iterator[tuple[Entry, bytes | str]]]
    size: int | None
    finished: Shard | None


def prepare_images(
    source: Path,
    out: Path,
    *,
    told: Told,
    num_processes: int = 1,
    size: int | None = None,
    rows_per_shard: int = ROWS_PER_SHARD,
) -> dict[str, Manifest]:
    """Make the shards of every split of ``source`` in ``out/SPLIT``; finished ones that are whole are kept.

    Args:
        source: A folder a class, tar archives or Parquet files; see ``open_source``.
        out: Where the splits go.
        told: Hears of the progress.
        num_processes: That read and decode.
        size: Images whose shorter side has more pixels are shrunk to it, as JPEGs; others stay as they are.
        rows_per_shard: Images of a file.

    Raises:
        UserError: where there is nothing to read, no room to write, or ``out`` holds something else.
    """
    codecs()
    return {
        name: _prepare_split(split, source, out / name, told, num_processes, size, rows_per_shard)
        for name, split in open_source(source).items()
    }


def verify_images(out: Path, *, told: Told, num_processes: int = 1) -> dict[str, Manifest]:
    """Read every shard in ``out`` and compare its checksum.

    Raises:
        UserError: naming all that are damaged, and what to do.
    """
    found = manifests(out)
    damaged: list[Path] = []
    for name, manifest in found.items():
        done = 0
        paths = [out / name / shard.file for shard in manifest.shards]
        with ThreadPoolExecutor(num_processes) as pool:
            for path, shard, whole in zip(
                paths, manifest.shards, pool.map(is_whole, paths, manifest.shards), strict=True
            ):
                done += shard.num_rows
                told(name, done, manifest.num_images)
                if not whole:
                    damaged.append(path)
    if damaged:
        raise UserError(
            f"{', '.join(map(str, damaged))} {'is' if len(damaged) == 1 else 'are'} missing or changed since "
            f"preparation; make anew what is damaged: largebatch prepare images SRC --out {out}"
        )
    return found


def _prepare_split(
    source: Source, path: Path, folder: Path, told: Told, num_processes: int, size: int | None, rows_per_shard: int
) -> Manifest:
    origin = Origin(
        source=str(path.resolve()), kind=source.kind, digest=source.digest(path), size=size,
        rows_per_shard=rows_per_shard, block_rows=BLOCK_ROWS,
    )  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".*.tmp"):
            left.unlink()
        progress = Progress(folder, origin)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}; choose another --out") from error
    entries = source.shuffled()
    jobs = [
        _Job(
            path=folder / f"shard-{number:05d}.arrow", entries=entries[start : start + rows_per_shard],
            read=source.read, size=size, finished=progress.finished.get(f"shard-{number:05d}.arrow"),
        )
        for number, start in enumerate(range(0, len(entries), rows_per_shard))
    ]  # fmt: skip
    made: dict[str, Shard] = {}
    done = 0
    for job, shard in _run(jobs, num_processes):
        made[shard.file] = shard
        if shard != job.finished:
            progress.add(shard)
        done += len(job.entries)
        told(folder.name, done, len(entries))
    shards = tuple(made[job.path.name] for job in jobs)
    _refuse_lost_classes(source, shards, folder.name)
    digest = hashlib.sha256("".join(shard.sha256 for shard in shards).encode()).hexdigest()[:16]
    manifest = Manifest(version=VERSION, origin=origin, fingerprint=digest, classes=source.classes, shards=shards)
    manifest.write(folder)
    return manifest


def _run(jobs: Sequence[_Job], num_processes: int) -> Iterator[tuple[_Job, Shard]]:
    """Make the shards, as they come; at most two for each process wait, for a job holds thousands of names."""
    if num_processes == 1:
        yield from ((job, _make(job)) for job in jobs)
        return
    left = iter(jobs)
    with ProcessPoolExecutor(num_processes, get_context("spawn"), initializer=_worker) as pool:
        running = {pool.submit(_make, job): job for job in islice(left, 2 * num_processes)}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
                    running |= {pool.submit(_make, job): job for job in islice(left, 1)}
        except BaseException:
            pool.shutdown(cancel_futures=True)  # not wait=False: Python's exit may then write to a pipe being closed
            raise


def _worker() -> None:
    """Ctrl-C ends the workers without a word; the first process says what happened."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _make(job: _Job) -> Shard:
    if job.finished is not None and is_whole(job.path, job.finished):
        return job.finished
    reduced: Counter[str] = Counter()
    shard = write_shard(job.path, _rows(job, reduced), BLOCK_ROWS)
    return replace(shard, reduced=dict(sorted(reduced.items())))


def _rows(job: _Job, reduced: "Counter[str]") -> Iterator[tuple[bytes, int] | Unreadable]:
    """Images and labels; counts in ``reduced`` what they lack."""
    for entry, data in job.read(job.entries):
        if isinstance(data, str):
            yield Unreadable(name=entry.name, label=entry.label, reason=data)
            continue
        given = data
        try:
            if job.size is None:
                decode(data)
            else:
                data = shrink(data, job.size)
        except UnreadableImage as error:
            yield Unreadable(name=entry.name, label=entry.label, reason=str(error))
            continue
        reduced.update(reductions(given))
        yield data, entry.label


def _refuse_lost_classes(source: Source, shards: Sequence[Shard], split: str) -> None:
    left = [0] * len(source.classes)
    for entry in source.entries:
        left[entry.label] += 1
    given = list(left)
    unreadable = [one for shard in shards for one in shard.unreadable]
    for one in unreadable:
        left[one.label] -= 1
    lost = [name for name, count, before in zip(source.classes, left, given, strict=True) if before and not count]
    if lost:
        raise UserError(
            f"every image of class {lost[0]!r} of {split} is unreadable, as {unreadable[0].name} "
            f"({unreadable[0].reason}); mend them or leave the class out"
        )
