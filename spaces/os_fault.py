"""What the operating system refused, in one line: the path, its words, and what to do."""

import errno
import os
from pathlib import Path

from largebatch.spaces.errors import UserError

_SAME_COMMAND = "give the same command again; what was recorded is whole"
_WAYS = {
    (errno.ENOSPC, errno.EDQUOT): "what was recorded is whole: make room, and the same command continues",
    (errno.EROFS, errno.EACCES, errno.EPERM): (
        "what was recorded is whole: have it permitted (owner, mode, mount), or work on a copy of your own, then give "
        "the same command again"
    ),
    (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY): (
        f"a folder lies where a file belongs, or a file where a folder does: move it away, or give another path, and "
        f"{_SAME_COMMAND}"
    ),
    (errno.ENOENT,): f"it is not there, or no longer: put it back, or give another path, and {_SAME_COMMAND}",
    (errno.ENAMETOOLONG,): "give a shorter path",
    (errno.ELOOP,): "a link leads back to itself: repair it, or give another path",
    (errno.EMFILE, errno.ENFILE): f"allow more open files (ulimit -n), and {_SAME_COMMAND}",
    (errno.EFBIG,): f"files may not become so large there: raise the limit (ulimit -f), or give another path, and "
    f"{_SAME_COMMAND}",
    (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN, errno.ENOTCONN): (
        f"the disk or the file server does not answer: when it does, {_SAME_COMMAND}"
    ),
}
_BY_NUMBER = {number: way for numbers, way in _WAYS.items() for number in numbers}


def os_fault(error: OSError, path: Path | None = None) -> UserError:
    """``error`` as a mistake of one line; ``path`` is named where the error names none."""
    names = [error.filename, error.filename2] if isinstance(error.filename, str | bytes) else [path]
    where = " -> ".join(os.fsdecode(name) for name in names if name is not None)
    said = error.strerror or (str(error).splitlines() or [type(error).__name__])[0]
    way = _BY_NUMBER.get(error.errno or 0, f"when that is over, {_SAME_COMMAND}")
    return UserError(f"{where}: {said}; {way}" if where else f"{said}; {way}")
