"""Where a study directory keeps its ledger, and the one way to open it: to own, to read, to follow.

That is ``ledger.log``, or a database, which ``storage.json`` names with the study's name there. Studies of several
directories may share a database and have one name: so the name there ends in a number drawn by chance.
"""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from largebatch.spaces.errors import UserError
from largebatch.spaces.files import write_whole
from largebatch.studies.question.study import Study
from largebatch.studies.record.directory import StudyDirectory, read_text
from largebatch.studies.record.journal import holds_study
from largebatch.studies.record.lease.lease import Lease
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.ledger_follower import LedgerReader

if TYPE_CHECKING:
    from largebatch.studies.record.database.database import Database
    from largebatch.studies.record.database.database_reader import DatabaseReader


def read_ledger(directory: StudyDirectory, study: Study) -> Ledger:
    """The ledger, to be read.

    Raises:
        UserError: if it is damaged, away or not begun.
    """
    place, name = _place(directory, study)
    _refuse_lost(directory, place, name)
    return Ledger(place, name, create=False)


def own_ledger(directory: StudyDirectory, study: Study, lease: Lease) -> Ledger:
    """The ledger, begun where it is not there, for the holder of the lease.

    Raises:
        UserError: if it is damaged or away, or a newer owner has it.
    """
    place, name = _place(directory, study)
    refuse = lease.refuse_if_taken_over
    refuse()
    _refuse_lost(directory, place, name)
    return Ledger(place, name, create=True, fence=lease.fence, refuse_if_taken_over=refuse)


def follow_ledger(directory: StudyDirectory, study: Study) -> "LedgerReader | DatabaseReader":
    """The ledger, to be read as it grows."""
    place, name = _place(directory, study)
    _refuse_lost(directory, place, name)
    if isinstance(place, Path):
        return LedgerReader(place, name)
    from largebatch.studies.record.database.database_reader import DatabaseReader

    return DatabaseReader(place, name)


def ledger_file(directory: StudyDirectory, study: Study, made: Path) -> Path:
    """The ledger as a journal file: where it is in a database, a copy, made in the folder ``made``.

    Raises:
        UserError: if the database is away.
    """
    place, name = _place(directory, study)
    if isinstance(place, Path):
        return place
    from largebatch.studies.record.database.database_ledger import copy_ledger

    copy = made / directory.ledger.name
    copy_ledger(place, name, copy, study.name)
    return copy


def refuse_storage(directory: StudyDirectory, url: str | None, *, fresh: bool) -> None:
    """Refuse a database that cannot be used, or, unless ``fresh``, is not where the directory has its ledger.

    Raises:
        UserError: that says what to do.
    """
    recorded = None if fresh else _recorded(directory)
    wanted = _database(url, Path.cwd()) if url is not None else None
    if wanted is not None and recorded is not None and wanted != recorded[0]:
        raise UserError(
            f"{directory.path} keeps its ledger in {recorded[0]}, not in {wanted}; leave --storage away, or, if the "
            f"database was moved there, write its URL into {directory.storage_file}"
        )
    if wanted is not None and not fresh and recorded is None and os.path.lexists(directory.ledger):
        raise UserError(
            f"{directory.path} keeps its ledger in {directory.ledger}; leave --storage away, or choose another --out"
        )
    if (database := wanted or (recorded and recorded[0])) is not None:
        with database.told():
            database.check()


def record_storage(directory: StudyDirectory, study: Study, url: str | None) -> None:
    """Write down, once, in which database the directory keeps its ledger."""
    if url is None or directory.storage_file.exists():
        return
    database = _database(url, Path.cwd())
    facts = {"url": database.recorded(directory.path), "study": f"{study.name}-{secrets.token_hex(6)}"}
    mine = directory.path / f".storage.{secrets.token_hex(4)}"
    write_whole(mine, json.dumps(facts, indent=1) + "\n")
    with suppress(FileExistsError):  # another owner's, which then counts
        os.link(mine, directory.storage_file)
    mine.unlink()


def _refuse_lost(directory: StudyDirectory, place: "Path | Database", name: str) -> None:
    """Refuse a ledger without the study where there is more of it: all its trials would be trained again.

    Raises:
        UserError: that says what is there, and what to do.
    """
    curves = len(list(directory.curves.glob("trial-*")))
    there = [f"the curves of {curves} trials"] * bool(curves) + ["a plan"] * directory.plan_file.exists()
    if not there or holds_study(place, name):
        return
    lost = f"{place} holds nothing of {name}"
    if isinstance(place, Path) and not place.exists():
        lost = f"{place} is a link to {place.readlink()}, which is away" if place.is_symlink() else f"{place} is gone"
    elif isinstance(place, Path) and not place.stat().st_size:
        lost = f"{place} is empty"
    raise UserError(
        f"{lost}, and beside it are {' and '.join(there)}: put the ledger back, and the same command goes on from it; "
        f"or set this study aside and start again with `run --fresh`"
    )


def _place(directory: StudyDirectory, study: Study) -> "tuple[Path | Database, str]":
    return _recorded(directory) or (directory.ledger, study.name)


def _recorded(directory: StudyDirectory) -> "tuple[Database, str] | None":
    if not directory.storage_file.exists():
        return None
    try:
        facts = json.loads(read_text(directory.storage_file))
        return _database(facts["url"], directory.path), str(facts["study"])
    except UserError as mistake:
        raise UserError(f"{directory.storage_file}: {str(mistake).removeprefix('--storage: ')}") from mistake
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise UserError(f"{directory.storage_file} is damaged; put a copy of the file back") from error


def _database(url: str, folder: Path) -> "Database":
    """Imported where there is one alone: it takes half a second, and no study in a file needs it."""
    from largebatch.studies.record.database.database import Database

    return Database.named(url, folder)
