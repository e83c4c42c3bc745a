"""The places that a ledger may be kept in: a journal file, SQLite, and a PostgreSQL server of our own."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from largebatch.studies.record.database.database import Database


class PostgreSQL:
    """A server on a socket in a folder of its own; not of root, whom it refuses to serve."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="lb-postgresql-"))
        self._folder.chmod(0o755)
        self._user = "nobody" if os.getuid() == 0 else None
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        self._do("initdb", "-E", "UTF8", "-A", "trust", "-U", "me", "--no-sync")
        self.start()

    def _do(self, program: str, *arguments: str) -> None:
        command = [self._programs / program, "-D", self._folder / "data", *arguments]
        home = {"HOME": str(self._folder), "LC_ALL": "C"}
        subprocess.run(command, user=self._user, cwd=self._folder, env=home, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-k {self._folder} -h '' -F"
        self._do("pg_ctl", "start", "-w", "-s", "-o", options, "-l", str(self._folder / "log"))

    def stop(self) -> None:
        self._do("pg_ctl", "stop", "-w", "-s", "-m", "immediate")

    def url(self, database: str, user: str = "me") -> str:
        return f"postgresql://{user}@/{database}?host={self._folder}"

    def new_url(self) -> str:
        """Of a database that nobody has used."""
        name = f"d{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, statement: str) -> None:
        url = self.url("postgres").replace("postgresql:", "postgresql+psycopg:")
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)


def _programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return places[-1] if places else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    programs = _programs()
    if programs is None or not (os.getuid() or "nobody" in {user.pw_name for user in pwd.getpwall()}):
        pytest.skip("NOT TESTED: a ledger in PostgreSQL; install its server (Debian: postgresql)")
    server = PostgreSQL(programs)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a database that nobody has used."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'studies.db'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_url()


@pytest.fixture(params=["journal", "sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | Database:
    """Of a ledger that is not begun."""
    if request.param == "journal":
        return tmp_path / "ledger.log"
    if request.param == "sqlite":
        return Database.named(f"sqlite:///{tmp_path / 'studies.db'}", tmp_path)
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return Database.named(server.new_url(), tmp_path)
