"""Crates that somebody made to do harm, or that were damaged on the way: a sentence, and nothing on the disk."""

import hashlib
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from largebatch.spaces.errors import UserError
from largebatch.studies.exchange.ro_crate.contents import METADATA
from largebatch.studies.exchange.ro_crate.exporting import export_study
from largebatch.studies.exchange.ro_crate.importing import import_study, refuse_long

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


def other_file(name: str, content: bytes) -> Callable[[Members], Members]:
    """Another content, as the description says."""

    def described(entity: dict[str, object]) -> None:
        if entity["@id"] == name:
            entity["contentSize"] = str(len(content))
            entity["sha256"] = hashlib.sha256(content).hexdigest()

    return lambda members: other_metadata(described)(changed(name, lambda _: content)(members))


def other_plan(value: str) -> Callable[[Members], Members]:
    return other_file("plan.json", f'{{"rows": [{{"num_workers": {value}, "seconds_to_target": {value}}}]}}'.encode())


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
        (changed(METADATA, lambda _: b"[" * 200_000), "is no JSON"),
        (changed(METADATA, lambda _: b'{"@graph": [' + b"1," * 400_000 + b"1]}"), "Input should be a valid dict"),
        (changed(METADATA, lambda _: b'{"@graph": [' + b"1," * 600_000 + b"1]}"), "has 1,200,015 bytes, and"),
        (changed(METADATA, lambda _: b'{"@graph": 1e400}'), "@graph must be a list"),
        (other_file("plan.json", b"[" * 200_000), r"plan\.json of the crate is damaged \(RecursionError"),
        (other_plan("1e400"), r"plan\.json of the crate is damaged \(OverflowError"),
        (other_plan("0"), r"plan\.json of the crate is damaged \(ValueError"),
        (other_file("study.yaml", b"# x\n" * 300_000), r"study\.yaml has 1,200,000 bytes"),
        (other_file("ledger.log", b"{}\n"), r"hostile\.zip: ledger\.log, line 1 is damaged .*; nothing was taken"),
        (other_file("study.yaml", b"name: ["), r"hostile\.zip: study\.yaml:1: .*; nothing was taken; ask its authors"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_harm_is_refused(harm: Callable[[Members], Members], expected: str, members: Members, tmp_path: Path) -> None:
    file = tmp_path / "hostile.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for info, content in harm(members):
            archive.writestr(info, content)
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match=expected) as refused:
        import_study(file, tmp_path / "in" / "theirs")
    assert ".import-" not in str(refused.value)  # which is gone
    assert len(str(refused.value)) < 800
    assert not list((tmp_path / "in").iterdir())
    assert not list(tmp_path.glob("outside*"))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice(members: Members, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "twice.zip", "w") as archive:
        for info, content in [*members, members[0]]:
            archive.writestr(info, content)
    with pytest.raises(UserError, match=r"study\.yaml is there twice"):
        import_study(tmp_path / "twice.zip", tmp_path / "theirs")


def test_half_a_file_and_no_zip(members: Members, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        for info, content in members:
            archive.writestr(info, content)
    whole = (tmp_path / "whole.zip").read_bytes()
    for cut in (0, 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.zip").write_bytes(whole[:cut])
        with pytest.raises(UserError, match="is no whole zip"):
            import_study(tmp_path / "cut.zip", tmp_path / "theirs")
    spoiled = bytearray(whole)
    spoiled[len(whole) // 2] ^= 0xFF  # inside the report, by far the largest file
    (tmp_path / "spoiled.zip").write_bytes(spoiled)
    with pytest.raises(UserError, match=r"is no whole zip|cannot be unpacked"):
        import_study(tmp_path / "spoiled.zip", tmp_path / "theirs")
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize("licence", [{"@id": ["#no-licence"]}, {"@id": {}}, ["CC0"], "CC0", 1e400, None])
def test_a_licence_of_another_form(licence: object, members: Members, tmp_path: Path) -> None:
    def named(entity: dict[str, object]) -> None:
        if entity["@id"] == "./":
            entity["license"] = licence

    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        for info, content in other_metadata(named)(members):
            archive.writestr(info, content)
    done = import_study(tmp_path / "other.zip", tmp_path / "theirs")
    assert done.licence == "No licence was given"
    assert (tmp_path / "theirs" / "study.yaml").exists()


def test_what_others_wrote_cannot_steer_the_terminal(members: Members, tmp_path: Path) -> None:
    def named(entity: dict[str, object]) -> None:
        if entity["@id"] == "#no-licence":
            entity["name"] = "free\x1b]0;title\x07"

    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        for info, content in other_metadata(named)(members):
            archive.writestr(info, content)
    assert import_study(tmp_path / "other.zip", tmp_path / "theirs").licence == "free\\x1b]0;title\\x07"


def test_a_curve_that_unpacks_to_any_number_of_rows(tmp_path: Path) -> None:
    path = tmp_path / "trial-000000.parquet"
    pq.write_table(pa.table({"value": pa.nulls(11_000_000)}), path)
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match="has 11,000,000 rows, and no curve has more than 10,000,000"):
        refuse_long(path)
