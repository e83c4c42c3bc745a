"""A file that this process alone has open to write, and whether it still lies where it was made.

A path says nothing of that: a folder that was removed, moved or put back from a copy has another file there, or none.
And a forked child has all that its parent had open, its locks as well: it gives them up as it begins.
"""

import errno
import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

_GONE = -1


class OwnFile:
    """``descriptor`` is open; nothing can be written or locked through it once it is closed."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self.descriptor = path, descriptor
        _open.add(self)
        weakref.finalize(self, _close, self.__dict__)

    @property
    def is_open(self) -> bool:
        """False once it was closed, and in a child of the process that opened it."""
        return self.descriptor != _GONE

    @property
    def is_at_its_path(self) -> bool:
        """Whether the open file is the one at the path; another may lie there, or none."""
        try:
            mine, there = os.fstat(self.descriptor), self.path.stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno in (errno.ESTALE, errno.ENOTDIR, errno.EBADF):  # ESTALE: NFS has forgotten a removed file
                return False
            raise
        return mine.st_nlink > 0 and os.path.samestat(mine, there)

    def close(self) -> None:
        """Close it, once."""
        _close(self.__dict__)


_open: weakref.WeakSet[OwnFile] = weakref.WeakSet()


def _close(fields: dict[str, Any]) -> None:
    descriptor, fields["descriptor"] = fields["descriptor"], _GONE
    if descriptor != _GONE:
        with suppress(OSError):
            os.close(descriptor)


def _close_all() -> None:
    for file in list(_open):
        file.close()


os.register_at_fork(after_in_child=_close_all)
