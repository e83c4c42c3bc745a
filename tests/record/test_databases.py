"""A ledger in a database: which URLs it takes, an owner that stops in the middle, a server that goes and comes back."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Ending, Measurement, Outcome, Trial
from largebatch.studies.record.database import database as databases
from largebatch.studies.record.database import fenced_storage
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.database.database_ledger import DatabaseLedger
from largebatch.studies.record.database.fenced_storage import DatabaseUnavailable, FencedStorage
from largebatch.studies.record.ledger import Ledger

SPACE = Space.model_validate(
    {"global_batch_size": {"choices": [32, 64]}, "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
)
RECIPE = Recipe(global_batch_size=64, learning_rate=0.3)
MEASUREMENT = Measurement(step=4, examples=256, seconds=0.5, values={"loss": 0.3})
REACHED = Ending(outcome=Outcome.REACHED, step=9, examples=576, seconds=0.9, steps_to_target=8.5)

STOP_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
import sqlalchemy
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.database import database
database.IDLE_SECONDS = 1
from largebatch.studies.record.ledger import Ledger
ledger = Ledger(Database.named(sys.argv[1], Path()), "study", create=True)
ledger.set_elapsed_seconds(1.0)

def stop(session):
    print("in the middle", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

sqlalchemy.event.listen(ledger._owned._storage._rdb.scoped_session, "before_commit", stop)  # after the check
try:
    ledger.set_elapsed_seconds(99.0)
except BaseException as error:
    print(type(error).__name__, error, flush=True)
"""


def read(place: Database) -> list[Trial]:
    return Ledger(place, "study", create=False).trials()


def fenced(ledger: Ledger) -> FencedStorage:
    assert isinstance(ledger._owned, DatabaseLedger)
    storage = ledger._owned._storage
    assert isinstance(storage, FencedStorage)
    return storage


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "'nonsense'"),
        ("me:secret@host", "'host'"),
        ("mysql://me:secret@host/db", "mysql:"),
        ("postgres://host/db", "postgres:"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:///x.db?mode=ro", "needs a file"),
        ("postgresql://host", "names no database"),
        ("postgresql://me:secret@host/db", "holds a password.*postgresql://me@host/db and put .* ~/.pgpass"),
        ("postgresql://me@host/db?password=secret&port=7", r"holds a password.*postgresql://me@host/db\?port=7 and"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_and_no_password_is_told(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as refused:
        Database.named(url, tmp_path)
    assert "secret" not in str(refused.value)


def test_a_file_in_the_study_directory_moves_with_it(tmp_path: Path) -> None:
    inside = Database.named(f"sqlite:///{tmp_path}/one/ledger.db", Path.cwd())
    assert inside.recorded(tmp_path / "one") == "sqlite:///ledger.db"
    assert Database.named("sqlite:///ledger.db", tmp_path / "two").file == tmp_path / "two" / "ledger.db"
    assert inside.recorded(tmp_path / "two") == f"sqlite:///{tmp_path}/one/ledger.db"


def test_a_driver_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    place = Database.named("postgresql://me@host/db", tmp_path)
    with pytest.raises(UserError, match=r"pip install 'largebatch\[postgresql\]'"), place.told():
        place.check()


def test_a_server_that_is_not_there_or_refuses_is_a_sentence(postgresql: Any, tmp_path: Path) -> None:
    away = Database.named("postgresql://me@127.0.0.1:1/db", tmp_path)
    with pytest.raises(UserError, match=r"cannot be used: .*refused.*; does the server run"), away.told():
        away.check()
    for url in (postgresql.url("nothing"), postgresql.new_url().replace("me@", "stranger@")):
        with pytest.raises(UserError, match=r"cannot be used: .*does not exist"):
            Ledger(Database.named(url, tmp_path), "study", create=True)
    url = postgresql.new_url()
    postgresql.execute("CREATE USER guest")
    with pytest.raises(UserError, match="may this user create tables"):
        Ledger(Database.named(url.replace("me@", "guest@"), tmp_path), "study", create=True)
    postgresql.execute("DROP USER guest")


def test_reading_makes_no_file_and_no_table(url: str, tmp_path: Path) -> None:
    place = Database.named(url, tmp_path)
    with pytest.raises(UserError, match=r"is not there|cannot be used"):
        read(place)
    assert not (tmp_path / "studies.db").exists()


def test_studies_that_begin_at_once_in_a_new_database_all_begin(url: str, tmp_path: Path) -> None:
    begun: list[str] = []

    def begin(name: str) -> None:
        Ledger(Database.named(url, tmp_path), name, create=True).create(SPACE, RECIPE, num_devices=1, owner=name)
        begun.append(name)

    threads = [threading.Thread(target=begin, args=(f"study-{number}",)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 5


def test_a_copy_of_a_directory_cannot_write_beside_it(url: str, tmp_path: Path) -> None:
    """Both have leases, and the same fence."""
    place = Database.named(url, tmp_path)
    ledger = Ledger(place, "study", create=True, fence=5)
    with pytest.raises(UserError, match="is this directory a copy"):
        Ledger(place, "study", create=True, fence=5)
    ledger.create(SPACE, RECIPE, num_devices=1, owner="me")


class _Lost:
    """The next commits are done, and then the connection is lost before the answer comes."""

    def __init__(self, storage: FencedStorage, commits: int) -> None:
        self._dialect, self._left = storage._rdb.engine.dialect, commits
        self._commit = self._dialect.do_commit
        self._dialect.do_commit = self.do_commit  # type: ignore[method-assign]

    def do_commit(self, connection: Any) -> None:
        self._commit(connection)
        if self._left:
            self._left -= 1
            raise self._dialect.loaded_dbapi.OperationalError("the connection is lost")


@pytest.mark.parametrize("times", [1, 7])
def test_what_was_done_before_the_answer_was_lost_is_not_done_twice(
    url: str, tmp_path: Path, times: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Optuna itself tries a creation five times: none of its trials may be a second one."""
    monkeypatch.setattr(fenced_storage, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr("random.random", lambda: 0.0)  # Optuna's pauses
    place = Database.named(url, tmp_path)
    ledger = Ledger(place, "study", create=True)
    acts: list[Callable[[], object]] = [
        lambda: ledger.create(SPACE, RECIPE, num_devices=1, owner="me"),
        lambda: ledger.measure(0, MEASUREMENT, "loss"),
        lambda: ledger.end(0, REACHED),
        lambda: ledger.create(SPACE, RECIPE, num_devices=1, owner="me"),
        lambda: ledger.pause(1, 256),
        lambda: ledger.record_request("a", {"kind": "stop", "trial": 1}),
    ]
    for act in acts:
        _Lost(fenced(ledger), times)
        act()
        assert read(place) == ledger.trials()
    assert len(ledger.trials()) == 2
    assert "does not answer (the connection is lost): waiting for it" in capsys.readouterr().err


def test_a_stranger_s_trial_is_not_taken_for_ours(url: str, tmp_path: Path) -> None:
    place = Database.named(url, tmp_path)
    ledger = Ledger(place, "study", create=True)
    place.open(create=False).create_new_trial(fenced(ledger)._row)
    with pytest.raises(UserError, match="somebody else wrote a trial"):
        ledger.create(SPACE, RECIPE, num_devices=1, owner="me")


def test_a_server_that_restarts_is_waited_for(
    postgresql: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fenced_storage, "RETRY_SECONDS", 0.1)
    place = Database.named(postgresql.new_url(), tmp_path)
    ledger = Ledger(place, "study", create=True)
    acts: list[Callable[[], object]] = [
        lambda: ledger.create(SPACE, RECIPE, num_devices=1, owner="me"),
        lambda: ledger.measure(0, MEASUREMENT, "loss"),
        lambda: ledger.end(0, REACHED),
    ]
    for act in acts:
        postgresql.stop()
        starting = threading.Timer(0.4, postgresql.start)
        starting.start()
        act()
        starting.join()
        assert read(place) == ledger.trials()
    assert "waiting for it" in capsys.readouterr().err
    postgresql.stop()  # and is back before anybody asks
    postgresql.start()
    ledger.set_elapsed_seconds(3.0)
    assert [trial.reached for trial in read(place)] == [True]


def test_a_server_that_stays_away_ends_the_study_and_nothing_is_lost(
    postgresql: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fenced_storage, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(fenced_storage, "RECONNECT_SECONDS", 0.3)
    place = Database.named(postgresql.new_url(), tmp_path)
    ledger = Ledger(place, "study", create=True)
    trial = ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
    postgresql.stop()
    try:
        with pytest.raises(DatabaseUnavailable, match=r"did not answer for .* what was recorded is safe"):
            ledger.measure(0, MEASUREMENT, "loss")
        with pytest.raises(DatabaseUnavailable):
            ledger.end(0, REACHED)
    finally:
        postgresql.start()
    assert read(place) == [trial]
    after = Ledger(place, "study", create=True, fence=2)
    after.end(0, REACHED)
    assert read(place)[0].reached


def test_an_owner_that_is_stopped_in_the_middle_of_a_write_is_followed_and_writes_nothing(
    postgresql: Any, tmp_path: Path
) -> None:
    """PostgreSQL ends its transaction, which holds a lock that the next owner waits for."""
    url = postgresql.new_url()
    arguments = [sys.executable, "-c", STOP_IN_THE_MIDDLE, url]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        try:
            place = Database.named(url, tmp_path)
            ledger = Ledger(place, "study", create=True, fence=2)
            assert ledger.elapsed_seconds() == 1.0
            process.send_signal(signal.SIGCONT)
            assert process.stdout.readline().startswith("LeaseLost ")
            assert Ledger(place, "study", create=False).elapsed_seconds() == 1.0
        finally:
            process.kill()


def test_a_transaction_that_looked_at_the_fence_holds_a_new_owner_up_until_its_end(url: str, tmp_path: Path) -> None:
    """Between the look and the commit nobody can take over: else what it commits would be a stranger's."""
    place = Database.named(url, tmp_path)
    old = Ledger(place, "study", create=True)
    order: list[str] = []
    new = threading.Thread(
        target=lambda: (Ledger(place, "study", create=True, fence=2), order.append("taken over")), daemon=True
    )

    def look_around(session: Session) -> None:
        del session
        new.start()
        new.join(0.5)
        order.append("committed")

    storage = fenced(old)._rdb.scoped_session
    sqlalchemy.event.listen(storage, "before_commit", look_around)
    old.set_elapsed_seconds(7.0)
    new.join()
    assert order == ["committed", "taken over"]
    assert Ledger(place, "study", create=False).elapsed_seconds() == 7.0


def test_what_others_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds SQLite's lock for longer than a statement waits: the write is done when it is free."""
    monkeypatch.setattr(databases, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(fenced_storage, "RETRY_SECONDS", 0.05)
    place = Database.named(f"sqlite:///{tmp_path / 'studies.db'}", tmp_path)
    ledger = Ledger(place, "study", create=True)
    code = (
        "import sqlite3, sys, time\nwith sqlite3.connect(sys.argv[1], isolation_level=None) as connection:\n"
        "    connection.execute('BEGIN IMMEDIATE')\n    print(flush=True)\n    time.sleep(1)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(place.file)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        ledger.set_elapsed_seconds(3.0)
    assert Ledger(place, "study", create=False).elapsed_seconds() == 3.0
