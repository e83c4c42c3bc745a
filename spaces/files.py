"""Files that are there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; when all of it is on disk it takes the place of ``path``: readers see the old or the new one.

    Raises:
        OSError: where it cannot be written; it names ``path``, and nothing half-written is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a text as ``whole_file`` does.

    Raises:
        OSError: as there.
    """
    with whole_file(path) as file:
        file.write(text.encode())


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left half-written in ``folder``; for its only writer."""
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)
