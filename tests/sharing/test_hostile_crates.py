"""Crates that somebody made to do harm, or that were damaged on the way: a sentence, and nothing on the disk."""

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.sharing.contents import METADATA
from largebatch.studies.sharing.exporting import export_study
from largebatch.studies.sharing.importing import import_study

Members = list[tuple[zipfile.ZipInfo, bytes]]


@pytest.fixture(scope="session")
def members(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Members:
    file = tmp_path_factory.mktemp("crate") / "small.zip"
    export_study(finished, file, [], None)
    with zipfile.ZipFile(file) as archive:
        return [(member, archive.read(member)) for member in archive.infolist()]


def added(name: str, content: bytes = b"x", mode: int = stat.S_IFREG | 0o644) -> Callable[[Members], Members]:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return lambda members: [*members, (info, content)]


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Members], Members]:
    return lambda members: [(one, change(text) if one.filename == name else text) for one, text in members]


def without(name: str) -> Callable[[Members], Members]:
    return lambda members: [(one, text) for one, text in members if one.filename != name]


def other_metadata(change: Callable[[dict[str, object]], None]) -> Callable[[Members], Members]:
    def rewritten(text: bytes) -> bytes:
        crate = json.loads(text)
        for entity in crate["@graph"]:
            change(entity)
        return json.dumps(crate).encode()

    return changed(METADATA, rewritten)


def lie_about_sizes(entity: dict[str, object]) -> None:
    if "contentSize" in entity:
        entity["contentSize"] = "many"


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (added("../outside.txt"), r"'\.\./outside\.txt' is no file of a study"),
        (added("curves/../../outside.txt"), "is no file of a study"),
        (added("/tmp/outside.txt"), "is no file of a study"),
        (added("checkpoints/trial-000000.pt"), "is no file of a study"),
        (added("leases/000001"), "is no file of a study"),
        (added("code/task.py", b"/etc/passwd", stat.S_IFLNK | 0o777), r"code/task\.py is a link"),
        (added("curves/trial-000099.parquet"), "of which ro-crate-metadata.json says nothing"),
        (lambda members: added("curves/trial-000099.parquet", bytes(100_000_000))(without("report.html")(members)),
         "bytes would become"),
        (without("profile.json"), r"it lacks profile\.json"),
        (without(METADATA), "is no RO-Crate: it has no ro-crate-metadata.json"),
        (changed(METADATA, lambda text: text[:-9]), "is no JSON"),
        (changed(METADATA, lambda _: b"[]"), "ro-crate-metadata.json: "),
        (changed("ledger.log", lambda text: text.replace(b"0.5", b"0.6", 1)), r"ledger\.log is not the file that"),
        (other_metadata(lie_about_sizes), "should be a valid integer"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_harm_is_refused(harm: Callable[[Members], Members], expected: str, members: Members, tmp_path: Path) -> None:
    file = tmp_path / "hostile.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for info, content in harm(members):
            archive.writestr(info, content)
    (tmp_path / "in").mkdir()
    with pytest.raises(UserMistake, match=expected):
        import_study(file, tmp_path / "in" / "theirs")
    assert not list((tmp_path / "in").iterdir())
    assert not list(tmp_path.glob("outside*"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice(members: Members, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for info, content in [*members, members[0]]:
            archive.writestr(info, content)
    with pytest.raises(UserMistake, match=r"study\.yaml is there twice"):
        import_study(tmp_path / "twice.zip", tmp_path / "theirs")


def test_half_a_file_and_no_zip(members: Members, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        for info, content in members:
            archive.writestr(info, content)
    whole = (tmp_path / "whole.zip").read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.zip").write_bytes(whole[:cut])
        with pytest.raises(UserMistake, match="is no whole zip"):
            import_study(tmp_path / "cut.zip", tmp_path / "theirs")
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2] ^= 0xFF  # inside the report, by far the largest file
    (tmp_path / "spoiled.zip").write_bytes(spoiled)
    with pytest.raises(UserMistake, match=r"is no whole zip|cannot be unpacked"):
        import_study(tmp_path / "spoiled.zip", tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()
