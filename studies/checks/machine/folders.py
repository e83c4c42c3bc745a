"""The folders that a study writes to: the study's directory on a shared file system, temporary files on the node."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from largebatch.schedulers.clusters.launcher.node_share import BELOW_RAY, LONGEST_SOCKET_PATH
from largebatch.studies.checks.machine.child import ChildFailed, from_child
from largebatch.studies.checks.machine.finding import Finding, ok, problem, warning

MOUNTS = Path("/proc/self/mountinfo")
_BELOW_TEMP = f"/ray{BELOW_RAY}"
"""What Ray puts below the folder for temporary files."""
_TRY_SECONDS = 30.0
_TRIED_BYTES = 16 * 2**20
_LOW_BYTES, _LEAST_BYTES = 10 * 2**30, 2**30
_LEAST_FILES = 10_000
_SHARED = {"nfs": "NFS", "nfs4": "NFS", "lustre": "Lustre", "gpfs": "GPFS", "beegfs": "BeeGFS", "ceph": "CephFS",
           "wekafs": "WekaFS", "panfs": "PanFS", "orangefs": "OrangeFS", "cifs": "CIFS"}  # fmt: skip
_GONE_AFTERWARDS = {"tmpfs": "memory", "ramfs": "memory", "overlay": "a container's own layer"}
_LOCK = """
import fcntl, json, subprocess, sys
path, other = sys.argv[1], "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
def taken():
    return subprocess.run([sys.executable, "-S", "-c", other, path], stderr=subprocess.DEVNULL).returncode != 0
with open(path, "r+") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    held = taken()
print(json.dumps([held, taken()]))
"""
_RENAME = """
import json, os, subprocess, sys, time
path = sys.argv[1]
reader = '''
import sys, time
wrong, end = 0, time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    try:
        text = open(sys.argv[1]).read()
    except OSError:
        text = ""
    wrong += text not in ("a" * 50_000, "b" * 50_000)
sys.exit(min(wrong, 100))
'''
def replace(letter):
    with open(path + ".new", "w") as file:
        file.write(letter * 50_000)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
replace("a")
child = subprocess.Popen([sys.executable, "-S", "-c", reader, path, "1.0"])
count = 0
while child.poll() is None:
    replace("ab"[count % 2])
    count += 1
print(json.dumps([count, child.returncode]))
"""


def temp_path() -> Finding:
    """Sockets have short names: Ray's, below the folder for temporary files, must fit."""
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(name)), "TMPDIR")
    base = temp_folder()
    length = len(os.fsencode(base)) + len(_BELOW_TEMP)
    mend = f"export {name}=/tmp"
    if length > LONGEST_SOCKET_PATH:
        measured = f"{base}: Ray's sockets would have names of {length} characters; {LONGEST_SOCKET_PATH} at most"
        return problem("temporary files", measured, mend)
    try:
        with tempfile.TemporaryDirectory(prefix="lb-", dir=base) as folder, socket.socket(socket.AF_UNIX) as one:
            one.bind(f"{folder}/socket")
    except OSError as error:
        return problem("temporary files", f"{base}: no socket can be made in it: {error.strerror}", mend)
    kind = file_system(base)[0]
    if kind in _SHARED:
        return warning("temporary files", f"{base} is on {_SHARED[kind]}, which nodes share", mend)
    free = shutil.disk_usage(base).free
    measured = f"{base}, {kind}, {length} of {LONGEST_SOCKET_PATH} characters, {free / 2**30:.1f} GiB free"
    if free < _LEAST_BYTES:
        return warning("temporary files", measured, mend)
    return ok("temporary files", measured)


def kind_of_file_system(directory: Path) -> Finding:
    """What the study's directory lies on; Lustre and NFS may be mounted without locks."""
    kind, options = file_system(directory)
    where = f"{directory}: {_SHARED.get(kind, kind)}"
    if kind in _GONE_AFTERWARDS:
        measured = f"{where}, which is {_GONE_AFTERWARDS[kind]}: a study in it is gone with the job"
        return warning("file system", measured, "largebatch run STUDY --out DIR   # on a disk that stays")
    if kind == "lustre" and not {"flock", "localflock"} & set(options):
        return warning("file system", f"{where}, mounted without flock", "mount -o flock ...   # by the site")
    local = next((one for one in options if one in ("nolock", "localflock", "local_lock=all", "local_lock=flock")), "")
    if local:
        measured = f"{where}, mounted with {local}: a lock is not seen by other nodes"
        return warning("file system", measured, "run one job at a time on this study's directory")
    return ok("file system", where + (", shared among nodes" if kind in _SHARED else ", of this node"))


def locking(directory: Path) -> Finding:
    """Two processes and a lock: the second must be refused while the first holds it, and let in afterwards."""
    mend = "largebatch run STUDY --out DIR   # on a file system with flock"
    try:
        with _scratch(directory) as path:
            held, still = from_child(_LOCK, str(path), seconds=_TRY_SECONDS)
    except (ChildFailed, OSError) as error:
        return problem("locks", f"{directory}: flock fails: {error}", mend)
    if not held or still:
        what = "a lock that is held does not keep others out" if not held else "a lock stays when its owner has ended"
        return problem("locks", f"{directory}: {what}", mend)
    return ok("locks", f"{directory}: flock holds between two processes")


def renaming(directory: Path) -> Finding:
    """A file that is replaced by another must be whole at every moment: the plan, the lease, checkpoints."""
    mend = "largebatch run STUDY --out DIR   # on another file system"
    try:
        with _scratch(directory) as path:
            count, wrong = from_child(_RENAME, str(path), seconds=_TRY_SECONDS)
    except (ChildFailed, OSError) as error:
        return problem("renaming", f"{directory}: {error}", mend)
    if wrong:
        measured = f"{directory}: a file was not whole {wrong} times while it was replaced {count} times"
        return problem("renaming", measured, mend)
    return ok("renaming", f"{directory}: replaced {count} times in a second, whole for every reader")


def space(directory: Path) -> Finding:
    """Room for checkpoints, by the file system and by really writing, for a quota shows in nothing else."""
    room = os.statvfs(directory)
    free = room.f_bavail * room.f_frsize
    measured = f"{directory}: {free / 2**30:.1f} GiB free"
    mend = f"du -xh -d 1 {directory} | sort -h   # what may go; or --out elsewhere"
    try:
        with _scratch(directory) as path, path.open("wb") as file:
            file.write(os.urandom(_TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return problem("space", f"{measured}; writing {_TRIED_BYTES >> 20} MiB fails: {error.strerror}", mend)
    if over := _over_quota():
        return problem("space", f"{measured}; {over}", "quota -s   # then delete, or ask for more")
    if free < _LEAST_BYTES:
        return problem("space", measured, mend)
    if room.f_files > 0 and room.f_favail < _LEAST_FILES:
        return problem("space", f"{measured}, but only {room.f_favail} more files", mend)
    if free < _LOW_BYTES:
        return warning("space", measured, mend)
    return ok("space", f"{measured}; {_TRIED_BYTES >> 20} MiB written")


def temp_folder() -> Path:
    """Where Ray puts its own folder: as it finds it, whether it exists or not."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp")


def file_system(path: Path) -> tuple[str, list[str]]:
    """The kind of the file system that ``path`` lies on, and the options that it is mounted with."""
    inside = os.path.realpath(path)
    best, found = -1, ("unknown", list[str]())
    for line in MOUNTS.read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        kind, _, options = [*right.split(), "", "", ""][:3]
        if len(point) >= best and (inside + "/").startswith(point.rstrip("/") + "/"):
            best, found = len(point), (kind.removeprefix("fuse."), [*left.split()[5].split(","), *options.split(",")])
    return found


def _over_quota() -> str:
    """What ``quota`` says of limits that are passed; it is silent where none is."""
    if shutil.which("quota") is None:
        return ""
    done = subprocess.run(["quota", "-q"], capture_output=True, text=True, timeout=20, check=False)
    return " ".join(done.stdout.split())


@contextmanager
def _scratch(directory: Path) -> Iterator[Path]:
    """A file in ``directory`` for the time of a ``with``."""
    path = directory / f".largebatch-doctor-{secrets.token_hex(4)}"
    path.touch(exist_ok=False)
    try:
        yield path
    finally:
        for one in (path, path.with_name(f"{path.name}.new")):
            one.unlink(missing_ok=True)
