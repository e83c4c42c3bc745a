"""A disk that is full, and a directory that may not be written: a sentence, and the same command goes on later."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..effort import TIMES
from .campaign import PLAIN, Forked, Undisturbed, finished, moments

DISK_BYTES = 24 * 2**20


@contextmanager
def mounted(where: Path, *options: str) -> Iterator[None]:
    """A file system at ``where``; the test is skipped where this process may not mount."""
    done = subprocess.run(["mount", *options, str(where)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"mount is not permitted here, so no disk can be filled: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture(scope="module")
def undisturbed(server: Forked, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(server, tmp_path_factory.mktemp("sound"), PLAIN)


def test_a_full_disk(undisturbed: Undisturbed, server: Forked, tmp_path: Path) -> None:
    """From no room at all to room for all but the report."""
    for number, share in enumerate((0.0, *moments("room", TIMES))):
        disk = tmp_path / f"disk-{number}"
        disk.mkdir()
        with mounted(disk, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs"):
            out, filler = disk / "small", disk / "filler"
            room = 16_384 + int(300_000 * share)
            filler.write_bytes(bytes(DISK_BYTES - room))
            full = server.run(undisturbed.study, out)
            assert full.code == 2, (room, server.said)
            assert "Traceback" not in server.said, (room, server.said)
            assert (
                "No space left on device; what was recorded is whole" in " ".join(server.said.split())
                or "the disk has" in server.said
            ), (room, server.said)
            before = finished(out)
            filler.unlink()
            undisturbed.equals(server.run(undisturbed.study, out), server, out)
            after = finished(out)
            assert {one: after[one] for one in before} == before


def test_a_read_only_directory(undisturbed: Undisturbed, server: Forked, tmp_path: Path) -> None:
    out = tmp_path / "small"
    server.run(undisturbed.study, out, at_change=undisturbed.ended.changes // 2)
    before = finished(out)
    with mounted(out, "--bind", str(out)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(out)], check=True)
        assert server.run(undisturbed.study, out).code == 2
        assert f"{out} is not writable" in server.said.replace("\n", "")
        assert finished(out) == before
    undisturbed.equals(server.run(undisturbed.study, out), server, out)
