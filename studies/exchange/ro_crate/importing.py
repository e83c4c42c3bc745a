"""``import``: the study of a crate that somebody else made. Nothing in it is run, and nothing is taken on trust.

The zip is unpacked here, file by file: those that the crate describes and a study has (``contents.belongs``), with the
size and the SHA-256 that it says. No name can lead out of the folder, and no file of them is a pickle. The report holds
scripts, so it is made anew from the record, and so is the plan, to compare.
"""

import hashlib
import json
import math
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable
from largebatch.spaces.problems import first_problem
from largebatch.studies.answer.answer import read_answer
from largebatch.studies.exchange.ro_crate.contents import METADATA, REPORT, belongs
from largebatch.studies.question.study import Study
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.views.report.answer_report import write_answer_report

MOST_BYTES = {".json": 10_000_000, ".py": 10_000_000, ".txt": 10_000_000, ".yaml": 1_000_000}
"""Of a file that is read whole, by the ending of its name: as plain values it takes many times as much memory."""
MOST_BYTES_DESCRIBED = 2_000
"""Of the description, for each file of the crate; a megabyte is allowed at any rate."""
MOST_CURVE_ROWS = 10_000_000
MOST_EXPANSION = 200
"""A crate of a study, most of it numbers, grows a few times when it is unpacked, never as much as this."""
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A study that was imported, what its crate says of it, and how far its plan is from the one made of its record."""

    directory: Path
    name: str
    task: str
    authors: tuple[str, ...]
    licence: str
    code: tuple[str, ...]
    """The author's own code, which was not run."""
    num_files: int
    plan_differs: float | None
    """The largest difference of a time to the target, as a share; None where one of the two has no plan."""


class _Entity(BaseModel):
    """What of an entity of a crate is read here."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(alias="@id")
    type: str | list[str] = Field(alias="@type")
    name: str = ""
    contentSize: int | None = None
    sha256: str = ""
    license: Any = None

    def is_a(self, kind: str) -> bool:
        return kind in ([self.type] if isinstance(self.type, str) else self.type)


_Crate = dict[str, _Entity]
"""The entities of a crate by their names."""


def import_study(file: Path, out: Path | None) -> Imported:
    """Unpack the study of a crate into the directory ``out``, ``runs/NAME`` if not given, whole or not at all.

    Raises:
        UserError: if it is no crate of a study, or not what it says it is, or ``out`` is there.
    """
    if not file.is_file():
        raise UserError(f"{file} is no file; give the zip that `largebatch export` wrote")
    if out is not None:
        _refuse_there(out)
    parent = out.parent if out is not None else Path("runs")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=parent, prefix=".import-") as folder:
            inside = Path(folder) / "study"
            crate = _unpack(file, inside)
            study, differs = _read(file, inside)
            out = out or parent / study.name
            done = Imported(
                directory=out, name=study.name, task=study.task,
                authors=tuple(
                    printable(f"{entity.name} <{entity.id}>") for entity in crate.values() if entity.is_a("Person")
                ),
                licence=printable(_licence(crate)),
                code=tuple(sorted(str(out / "code" / path.name) for path in (inside / "code").glob("*.py"))),
                num_files=sum(entity.is_a("File") for entity in crate.values()), plan_differs=differs,
            )  # fmt: skip
            _refuse_there(out)
            inside.rename(out)  # last: all that can be wrong has been found by now
    except OSError as error:
        raise UserError(
            f"{file} cannot be unpacked into {parent}: {error.strerror or error}; make room, have it permitted, or "
            f"choose another --out"
        ) from error
    return done


def _licence(crate: _Crate) -> str:
    root = crate.get("./")
    licence = root.license if root is not None else None
    name = licence.get("@id") if isinstance(licence, dict) else None
    said = crate.get(name) if isinstance(name, str) else None
    return said.name if said is not None else "No licence was given"


def _read(file: Path, inside: Path) -> tuple[Study, float | None]:
    """The study that was unpacked, and how far its plan is from the one made of its record.

    Raises:
        UserError: that names the file of the crate: where it was unpacked is gone by then.
    """
    try:
        for path in (inside / "curves").glob("*.parquet"):
            refuse_long(path)
        directory = StudyDirectory.existing(inside)
        return directory.study(), _plan_again(directory)
    except UserError as mistake:
        what = str(mistake).splitlines()[0].partition("; ")[0].replace(f"{inside}/", "").replace(str(inside), "it")
        raise UserError(f"{file}: {what}; nothing was taken; ask its authors for a whole one") from mistake


def refuse_long(path: Path) -> None:
    """A few bytes of Parquet may stand for any number of rows.

    Raises:
        UserError: if a curve has more than any study measures, or is damaged.
    """
    try:
        rows = pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error})") from error
    if rows > MOST_CURVE_ROWS:
        raise UserError(f"{path} has {rows:,} rows, and no curve has more than {MOST_CURVE_ROWS:,}")


def _refuse_there(out: Path) -> None:
    if out.exists():
        raise UserError(f"{out} is there already, and nothing is overwritten; choose another --out")


def _unpack(file: Path, inside: Path) -> _Crate:
    """Write the files of the crate into the new folder ``inside``, and return its description."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(file, archive, inside.parent)
            if METADATA not in members:
                raise UserError(f"{file} is no RO-Crate: it has no {METADATA}")
            _refuse_large(file, members)
            text = archive.read(METADATA)
            crate = _parse(file, text)
            described = {name.removeprefix("./"): entity for name, entity in crate.items() if entity.is_a("File")}
            strangers = sorted(set(members) - set(described) - {METADATA})
            missing = sorted(set(described) - set(members))
            if strangers or missing:
                what = f"it holds {strangers[0]}, of which" if strangers else f"it lacks {missing[0]}, of which"
                raise UserError(f"{file}: {what} {METADATA} says {'nothing' if strangers else 'that it is there'}")
            for name, entity in described.items():
                _write(file, archive, members[name], entity, inside / name)
            (inside / METADATA).write_bytes(text)
            (inside / REPORT).unlink(missing_ok=True)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, zlib.error) as error:
        raise UserError(f"{file} is no whole zip ({error}); get it again") from error
    except RuntimeError as error:  # a password
        raise UserError(f"{file} cannot be unpacked: {error}") from error
    return crate


def _members(file: Path, archive: zipfile.ZipFile, folder: Path) -> Mapping[str, zipfile.ZipInfo]:
    """The files of a zip by name: only what a study has, and what the disk of ``folder`` has room for."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        if member.is_dir():
            continue
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(f"{file}: {member.filename} is a link, which no crate of a study has; nothing was taken")
        if not belongs(member.filename):
            raise UserError(
                f"{file}: {member.filename!r:.200} is no file of a study (`largebatch export` writes none of that "
                f"name); nothing was taken"
            )
        if member.filename in members:
            raise UserError(f"{file}: {member.filename} is there twice; nothing was taken")
        members[member.filename] = member
    total, packed = sum(member.file_size for member in members.values()), file.stat().st_size
    free = shutil.disk_usage(folder).free
    if total > MOST_EXPANSION * packed:
        raise UserError(f"{file}: {packed:,} bytes would become {total:,}; that is no study, and nothing was taken")
    if total > free:
        raise UserError(f"{file} needs {total:,} bytes, and the disk has {free:,} left; make room")
    return members


def _refuse_large(file: Path, members: Mapping[str, zipfile.ZipInfo]) -> None:
    for name, member in members.items():
        most = MOST_BYTES.get(Path(name).suffix)
        if name == METADATA:
            most = max(1_000_000, MOST_BYTES_DESCRIBED * len(members))
        if most is not None and member.file_size > most:
            raise UserError(
                f"{file}: {name} has {member.file_size:,} bytes, and in a study of this size it has at most {most:,}; "
                f"nothing was taken"
            )


def _parse(file: Path, text: bytes) -> _Crate:
    """The entities, up to the first that is none: each mistake takes memory of its own."""
    try:
        graph = json.loads(text)["@graph"]
        if not isinstance(graph, list):
            raise TypeError("@graph must be a list")
        entities = [_Entity.model_validate(entity) for entity in graph]
    except ValidationError as error:
        raise UserError(f"{file}: {METADATA}: {first_problem(error)}") from error
    except (TypeError, LookupError) as error:
        raise UserError(f"{file}: {METADATA}: it describes no crate ({error})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: {METADATA} is no JSON: {error}") from error
    return {entity.id: entity for entity in entities}


def _write(file: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo, entity: _Entity, path: Path) -> None:
    """Unpack one file, and make sure that it is the one that the crate describes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with archive.open(member) as source, path.open("xb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
    if size != entity.contentSize or digest.hexdigest() != entity.sha256:
        raise UserError(
            f"{file}: {member.filename} is not the file that {METADATA} describes ({size:,} bytes, SHA-256 "
            f"{digest.hexdigest()[:16]}...; it says {entity.contentSize}, {entity.sha256[:16]}...); nothing was taken"
        )


def _plan_again(directory: StudyDirectory) -> float | None:
    """Make plan and report from the record, and compare the plan's times with those of the shared plan."""
    answer = read_answer(directory)
    write_answer_report(directory, answer, directory.report_file)
    if answer.plan is None or not directory.plan_file.exists():
        return None
    made = {row.num_workers: row.seconds_to_target for row in answer.plan.rows}
    try:
        rows = json.loads(directory.plan_file.read_text())["rows"]
        shared = {int(row["num_workers"]): float(row["seconds_to_target"]) for row in rows}
        if not all(math.isfinite(seconds) and seconds > 0 for seconds in shared.values()):
            raise ValueError("times must be positive and finite")
        return max((abs(made[count] / shared[count] - 1) for count in made.keys() & shared.keys()), default=None)
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        raise UserError(f"{directory.plan_file.name} of the crate is damaged ({error!r:.200})") from error
