"""A file is the old one or the new one, and nothing half-written stays."""

import os
from pathlib import Path

import pytest

from largebatch.spaces import files as whole_file
from largebatch.spaces.files import whole_file as open_whole


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for text in ("old", "new and longer"):
        before = path.read_text() if path.exists() else None
        with open_whole(path) as file:
            file.write(text.encode())
            assert (path.read_text() if path.exists() else None) == before
        assert path.read_text() == text
    assert os.listdir(tmp_path) == ["file"]


def test_what_ends_the_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), open_whole(path) as file:
        file.write(b"half" * (1 // 0))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's disk that is always full")
def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_file.secrets, "token_hex", lambda length: "0")
    (tmp_path / ".file.0.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*/file'"), open_whole(tmp_path / "file") as file:
        file.write(b"half")
    assert os.listdir(tmp_path) == []


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"), open_whole(tmp_path / "file"):
        (tmp_path / "missing").read_text()
