"""A database in which studies keep their ledgers, by Optuna's own tables: SQLite or PostgreSQL.

Its URL never holds a password: PostgreSQL's client library takes one from ``PGPASSWORD`` or ``~/.pgpass``. Optuna's
cache is not used, nor its heartbeat: who owns a study is told by the lease of its directory (``fenced_storage.py``).
"""

import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, ProgrammingError, SQLAlchemyError

from largebatch.spaces.errors import UserError

CONNECT_SECONDS = 10
LOCK_SECONDS = 60
"""How long a statement waits for the locks of others."""
IDLE_SECONDS = 20
"""After so long PostgreSQL ends a transaction whose owner has stopped in the middle, and frees what it locked."""
_SCHEMES = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgresql+psycopg": "postgresql+psycopg"}
_FORMS = "sqlite:///FILE or postgresql://USER@HOST/DATABASE"
_SECRETS = ("password", "sslpassword")
_SIGNS = (ValueError, TypeError, LookupError, AttributeError)
"""What reading rows that no ledger has may raise."""


@dataclass(frozen=True, slots=True)
class Database:
    """Where ledgers are; opened anew by each who reads or writes."""

    url: URL

    @classmethod
    def named(cls, text: str, folder: Path) -> "Database":
        """The database of a URL; a file of SQLite is meant relative to ``folder``.

        Raises:
            UserError: if it is none of those that can be used.
        """
        try:
            url = make_url(text)
        except ArgumentError as error:
            got = text.rpartition("@")[2]  # what is before it may be a password
            raise UserError(f"--storage: a database is given as {_FORMS}; got {got!r}") from error
        if url.drivername not in _SCHEMES:
            raise UserError(f"--storage: a database is given as {_FORMS}; got {url.drivername}:..")
        if url.password is not None or any(name in url.query for name in _SECRETS):
            raise UserError(
                f"--storage: the URL holds a password, which others can read in the list of processes; give "
                f"{_without_password(url)} and put the password into ~/.pgpass (mode 600) or PGPASSWORD"
            )
        if url.drivername == "sqlite":
            if not url.database or url.database == ":memory:" or url.host or url.query:
                raise UserError(f"--storage: SQLite needs a file, as in sqlite:///studies.db; got {text}")
            return cls(url.set(database=str(folder.absolute() / url.database)))
        if not url.database:
            raise UserError(f"--storage: the URL names no database, as postgresql://USER@HOST/DATABASE does: {text}")
        return cls(url.set(drivername=_SCHEMES[url.drivername]))

    def __str__(self) -> str:
        return str(self.url)

    @property
    def file(self) -> Path | None:
        """SQLite's."""
        return Path(self.url.database or "") if self.url.drivername == "sqlite" else None

    def file_number(self) -> tuple[int, int] | None:
        """Which file SQLite's is; None where there is none."""
        try:
            found = self.file.stat() if self.file is not None else None
        except FileNotFoundError:
            found = None
        return None if found is None else (found.st_dev, found.st_ino)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what a database, or what is in it, raises into a sentence.

        Raises:
            UserError: that says what to do.
        """
        try:
            yield
        except UserError:
            raise
        except ImportError as error:
            raise UserError(f"{self} needs a driver: pip install 'largebatch[postgresql]'") from error
        except (SQLAlchemyError, StorageInternalError) as error:
            raise UserError(f"{self} cannot be used: {reason(error)}; {self._way_out()}") from error
        except RuntimeError as error:  # of Optuna, about the version of its tables
            raise UserError(f"{self} cannot be used: {error}") from error
        except _SIGNS as error:
            raise UserError(f"{self} holds what no ledger holds ({type(error).__name__}: {error})") from error

    def _way_out(self) -> str:
        if self.file is not None:
            return "is the file, and its folder, yours to write, and is there room?"
        return "does the server run, is the password in ~/.pgpass or PGPASSWORD, and may this user create tables there?"

    def check(self) -> None:
        """Connect to it, and change nothing; to be called inside of ``told``.

        Raises:
            UserError: if the folder of a file is not there.
        """
        if self.file is not None:
            if not self.file.parent.is_dir():
                raise UserError(f"{self}: the folder {self.file.parent} is not there")
            return
        engine = sqlalchemy.create_engine(self.url, **self._engine_options())
        try:
            engine.connect().close()
        finally:
            engine.dispose()

    def open(self, *, create: bool) -> RDBStorage:
        """Optuna's storage, with its tables made where ``create``; to be called inside of ``told``.

        Raises:
            UserError: if a file is not there and is not to be made.
        """
        if self.file is not None and not (self.file.parent if create else self.file).exists():
            raise UserError(f"{self}: {self.file.parent if create else self.file} is not there")
        if not create:
            return self._opened(create=False)
        for pause_seconds in (0.2, 1.0, 3.0):  # studies that begin at once may make the same table twice
            try:
                return self._opened(create=True)
            except (DBAPIError, StorageInternalError) as error:
                if "already exists" not in str(error) and "unique" not in reason(error).lower():
                    raise
                time.sleep(pause_seconds)
        return self._opened(create=True)

    def _opened(self, *, create: bool) -> RDBStorage:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        engine = sqlalchemy.create_engine(self.url, **self._engine_options())
        if self.file is None:
            sqlalchemy.event.listen(engine, "connect", _set_up_postgresql)
        text = str(self.url).replace("{", "{{").replace("}", "}}")  # Optuna takes it for a template
        try:
            storage = RDBStorage(text, engine_kwargs={"pool": engine.pool}, skip_table_creation=not create)
        except BaseException:
            engine.dispose()  # its pool, which is the storage's, too
            raise
        weakref.finalize(storage, storage.engine.dispose)
        return storage

    def _engine_options(self) -> dict[str, Any]:
        if self.file is not None:
            return {"connect_args": {"timeout": LOCK_SECONDS}}
        # Without an encoding, a database of SQL_ASCII has bytes for text.
        options = {"connect_timeout": CONNECT_SECONDS, "client_encoding": "utf8"}
        return {"connect_args": options, "pool_pre_ping": True}

    def recorded(self, folder: Path) -> str:
        """The URL for the directory ``folder`` to keep; a file in it is told relative to it, so that both can move."""
        if self.file is not None and self.file.is_relative_to(folder.absolute()):
            return str(self.url.set(database=str(self.file.relative_to(folder.absolute()))))
        return str(self.url)


def _set_up_postgresql(connection: Any, record: object) -> None:
    del record
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = {1000 * IDLE_SECONDS}")
        cursor.execute(f"SET lock_timeout = {1000 * LOCK_SECONDS}")
    connection.commit()


def reason(error: BaseException) -> str:
    """The first line of what the database itself said."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ is not None else error
    said = getattr(cause, "orig", None) or cause
    return str(said).strip().splitlines()[0].strip() if str(said).strip() else type(said).__name__


def may_pass(error: BaseException) -> bool:
    """Whether it is of a server that is away or of a lock, and not of what was written."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    fixed = (IntegrityError, ProgrammingError, sqlalchemy.exc.DataError)
    return isinstance(cause, DBAPIError) and not isinstance(cause, fixed)


def _without_password(url: URL) -> URL:
    query = {name: value for name, value in url.query.items() if name not in _SECRETS}
    return URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query)
