"""A shard: an Arrow IPC file, uncompressed, of encoded images and their labels; written whole, read by the row.

A reader learns from Arrow where each image lies in the file, and then asks the system for those bytes: a file that is
cut short while it is read is an error here, and no bus error as with mapped memory.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import whole_file
from largebatch.trainers.datasets.images.manifest import Shard, Unreadable


def write_shard(path: Path, rows: Iterable[tuple[bytes, int] | Unreadable], block_rows: int) -> Shard:
    """Write the images of ``rows``, ``block_rows`` to a record batch, and take down the others.

    Raises:
        OSError: where there is no room; what was half written is removed.
    """
    with whole_file(path) as file:
        num_rows, unreadable, digest = _write(file, rows, block_rows)
        num_bytes = file.tell()
    return Shard(file=path.name, num_rows=num_rows, num_bytes=num_bytes, sha256=digest, unreadable=tuple(unreadable))


def _write(
    file: BinaryIO, rows: Iterable[tuple[bytes, int] | Unreadable], block_rows: int
) -> tuple[int, list[Unreadable], str]:
    """Rows written, what was left out, checksum."""
    import pyarrow as pa

    schema = pa.schema([("image", pa.binary()), ("label", pa.int32())])
    hashed = _Hashed(file)
    unreadable: list[Unreadable] = []
    num_rows = 0
    readable = _readable(rows, unreadable)
    with pa.PythonFile(hashed, mode="w") as sink, pa.ipc.new_file(sink, schema) as writer:
        while block := list(islice(readable, block_rows)):
            images, labels = zip(*block, strict=True)
            writer.write_batch(pa.record_batch([pa.array(images, pa.binary()), pa.array(labels, pa.int32())], schema))
            num_rows += len(block)
    return num_rows, unreadable, hashed.digest


def _readable(
    rows: Iterable[tuple[bytes, int] | Unreadable], unreadable: list[Unreadable]
) -> Iterator[tuple[bytes, int]]:
    for row in rows:
        if isinstance(row, Unreadable):
            unreadable.append(row)
        else:
            yield row


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(path: Path, shard: Shard) -> bool:
    """Whether the file is still what was written."""
    return path.exists() and path.stat().st_size == shard.num_bytes and sha256(path) == shard.sha256


class _Hashed:
    """A file that is read once less: its checksum is made while it is written."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sha256 = file, hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._sha256.hexdigest()

    def write(self, data: Any) -> int:
        self._sha256.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The owner closes it."""


class ShardFile:
    """A shard that is open to be read.

    The first row that is asked for of a record batch lets the system read the whole batch ahead: with a shuffle by
    blocks the others are asked for soon, and a file server likes one long read better.
    """

    def __init__(self, path: Path, shard: Shard) -> None:
        import pyarrow as pa

        self._path = path
        try:
            with pa.memory_map(str(path)) as memory:
                whole = memory.read_buffer()
                reader = pa.ipc.open_file(pa.BufferReader(whole))
                batches = [reader.get_batch(index) for index in range(reader.num_record_batches)]
                self.labels = np.concatenate(
                    [batch.column(1).to_numpy() for batch in batches] or [np.zeros(0, np.int32)]
                )
                self._edges = [_edges(batch.column(0), whole.address) for batch in batches]
        except (pa.ArrowInvalid, OSError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}); {_VERIFY}") from error
        if len(self.labels) != shard.num_rows:
            raise UserError(f"{path} must have {shard.num_rows} images; it has {len(self.labels)}; {_VERIFY}")
        self._block_rows = max((len(edges) - 1 for edges in self._edges), default=1)
        self._asked = [False] * len(self._edges)
        self._descriptor = os.open(path, os.O_RDONLY)

    def image(self, row: int) -> bytes:
        """The encoded image of a row."""
        block, place = divmod(row, self._block_rows)
        edges = self._edges[block]
        if not self._asked[block]:
            self._asked[block] = True
            if hasattr(os, "posix_fadvise"):
                length = int(edges[-1] - edges[0])
                os.posix_fadvise(self._descriptor, int(edges[0]), length, os.POSIX_FADV_WILLNEED)
        start, length = int(edges[place]), int(edges[place + 1] - edges[place])
        data = os.pread(self._descriptor, length, start)
        if len(data) != length:
            raise UserError(f"{self._path} was cut short while it was read; {_VERIFY}")
        return data

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


_VERIFY = "see which shards are damaged with `largebatch prepare images --out DIR --verify`"


def _edges(column: Any, base: int) -> Any:
    """Where the images of a record batch begin in the file, and where the last one ends, int64, ``(rows + 1,)``."""
    _, offsets, data = column.buffers()
    return np.frombuffer(offsets, np.int32, len(column) + 1) + np.int64(data.address - base)
