"""What a ledger promises, wherever it is kept: one suite for a journal file, SQLite and PostgreSQL."""

import math
import threading
from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.pool import NullPool

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Ending, Measurement, Origin, Outcome
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.database.database_reader import DatabaseReader
from largebatch.studies.record.lease.lease import LeaseLost
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.ledger_follower import LedgerReader

from .recipes import RECIPE, SPACE

Place = Path | Database
MEASUREMENT = Measurement(step=4, examples=128, seconds=0.5, values={"loss": 0.1 + 0.2})


def ending(outcome: Outcome, steps: float | None = None) -> Ending:
    return Ending(outcome=outcome, step=10, examples=320, seconds=1 / 3, steps_to_target=steps, reason="so")


def read(place: Place, name: str = "study") -> Ledger:
    return Ledger(place, name, create=False)


def follow(place: Place, name: str = "study") -> LedgerReader | DatabaseReader:
    return LedgerReader(place, name) if isinstance(place, Path) else DatabaseReader(place, name)


def optunas(place: Place) -> BaseStorage:
    """As Optuna opens it, without us."""
    if isinstance(place, Path):
        return JournalStorage(JournalFileBackend(str(place)))
    return optuna.storages.RDBStorage(str(place), engine_kwargs={"poolclass": NullPool})


def record(place: Place, name: str = "study", fence: int = 1) -> Ledger:
    ledger = Ledger(place, name, create=True, fence=fence)
    for outcome in Outcome:
        trial = ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
        ledger.measure(trial.number, MEASUREMENT, "loss")
        ledger.end(trial.number, ending(outcome, 7.5 if outcome is Outcome.REACHED else None))
    ledger.create(SPACE, RECIPE, num_devices=2, owner="me")
    return ledger


def test_what_is_written_is_read(place: Place) -> None:
    written = record(place).trials()
    found = read(place).trials()
    assert found == written
    assert [trial.ending.outcome for trial in found[:-1] if trial.ending] == list(Outcome)
    assert (found[0].examples_to_target, found[0].intermediate) == (240, {128: 0.1 + 0.2})
    assert (found[-1].running, found[-1].ending, found[-1].num_devices) == (True, None, 2)
    assert all(trial.recipe == RECIPE for trial in found)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308])
def test_a_number_is_read_as_it_was_written(place: Place, value: float) -> None:
    ledger = Ledger(place, "study", create=True)
    recipe = RECIPE.model_copy(update={"learning_rate": 0.1 + 0.2})
    ledger.create(SPACE, recipe, num_devices=1, owner="me")
    ledger.measure(0, Measurement(step=4, examples=2**31 - 1, seconds=0.5, values={"loss": value}), "loss")
    (trial,) = read(place).trials()
    assert trial.recipe == recipe
    assert str(dict(trial.intermediate)) == str({2**31 - 1: value})


def test_optuna_opens_it(place: Place) -> None:
    record(place)
    study = optuna.load_study(study_name="study", storage=optunas(place))
    assert study.best_trial.params == {"global_batch_size": 32, "learning_rate": 0.1, "optimizer": "sgd"}
    assert study.best_value == 240


def test_a_trial_is_never_ended_twice(place: Place) -> None:
    ledger = record(place)
    with pytest.raises(Exception, match=r"already finished|cannot be updated"):
        ledger.end(0, ending(Outcome.STOPPED))
    assert read(place).trials() == ledger.trials()


def test_the_next_owner_goes_on_where_the_last_one_was(place: Place) -> None:
    before = record(place)
    before.set_elapsed_seconds(12.5)
    before.record_request("b", {"kind": "stop", "trial": 1})
    after = Ledger(place, "study", create=True, fence=2)
    assert after.trials() == before.trials()
    assert (after.elapsed_seconds(), after.requests()) == (12.5, {"b": {"kind": "stop", "trial": 1}})
    last = len(after.trials()) - 1
    after.start_again(last, "you")
    after.measure(last, MEASUREMENT, "loss")
    after.end(last, ending(Outcome.REACHED, 8.5))
    assert after.create(SPACE, RECIPE, num_devices=1, owner="you", request="b").number == last + 1
    assert after.taken_requests() == {"b"}
    assert read(place).trials() == after.trials()


def test_who_was_taken_over_writes_nothing(place: Place) -> None:
    """Neither a check of the lease nor anything else stands in the old owner's way here: only the fence."""
    old = record(place)
    new = Ledger(place, "study", create=True, fence=2)
    new.create(SPACE, RECIPE, num_devices=1, owner="new")
    last = len(old.trials()) - 1
    acts = [
        lambda: old.create(SPACE, RECIPE, num_devices=1, owner="old"),
        lambda: old.measure(last, MEASUREMENT, "loss"),
        lambda: old.pause(last, 128),
        lambda: old.end(last, ending(Outcome.STOPPED)),
        lambda: old.set_elapsed_seconds(99),
        lambda: old.record_request("x", {}),
    ]
    for act in acts:
        with pytest.raises(LeaseLost, match=r"is not the ledger that this process writes|newer owner"):
            act()
    found = read(place)
    assert found.trials() == new.trials()
    assert (found.elapsed_seconds(), found.requests()) == (0, {})


def test_the_lease_tells_who_has_taken_over(place: Place) -> None:
    def refuse() -> None:
        raise LeaseLost("by process 7")

    owned = [False]
    old = Ledger(place, "study", create=True, refuse_if_taken_over=lambda: refuse() if owned[0] else None)
    old.create(SPACE, RECIPE, num_devices=1, owner="old")
    Ledger(place, "study", create=True, fence=2)
    owned[0] = True
    with pytest.raises(LeaseLost, match="by process 7"):
        old.measure(0, MEASUREMENT, "loss")


def test_an_owner_that_was_stopped_before_it_took_over_takes_nothing(place: Place) -> None:
    record(place, fence=3)
    before = read(place).trials()
    with pytest.raises((UserError, OSError), match=r"newer owner|File exists|another process"):
        Ledger(place, "study", create=True, fence=2)
    assert read(place).trials() == before


def test_owners_that_race_leave_one_ledger(place: Place) -> None:
    """Each takes over and writes a trial, all at once; the last fence wins, and its file or rows are whole."""
    record(place)
    done: dict[int, bool] = {}

    def own(fence: int) -> None:
        try:
            ledger = Ledger(place, "study", create=True, fence=fence)
            ledger.create(SPACE, RECIPE, num_devices=1, owner=str(fence))
            done[fence] = True
        except (UserError, OSError):
            done[fence] = False

    threads = [threading.Thread(target=own, args=(fence,)) for fence in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done[7]
    last = Ledger(place, "study", create=True, fence=8)
    trials = last.trials()
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert len(Outcome) + 2 <= len(trials) <= len(Outcome) + 1 + sum(done.values())


def test_studies_of_one_place_do_not_see_each_other(place: Place) -> None:
    record(place, "one")
    if isinstance(place, Path):
        ledger = Ledger(place, "two", create=True, fence=2)  # of a journal there is one owner
    else:
        ledger = Ledger(place, "two", create=True)
    ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
    reader = follow(place, "two")
    list(reader.read())
    assert [trial.number for trial in read(place, "two").trials()] == [0]
    assert reader.trials() == ledger.trials()
    assert len(read(place, "one").trials()) == len(Outcome) + 1
    with pytest.raises(UserError, match="holds nothing of three yet"):
        read(place, "three")


def test_a_reader_says_what_the_ledger_says_after_every_change(place: Place) -> None:
    ledger = Ledger(place, "study", create=True)
    reader = follow(place)
    measured = [Measurement(step=n, examples=32 * n, seconds=n, values={"loss": 1 / (1 + n)}) for n in range(6)]
    changes = [
        lambda: ledger.create(SPACE, RECIPE, num_devices=1, owner="me", why="first"),
        lambda: ledger.measure(0, measured[0], "loss"),
        lambda: ledger.measure(0, measured[5], "loss"),
        lambda: ledger.create(SPACE, RECIPE, num_devices=2, owner="me", repeat_of=0, request="r"),
        lambda: ledger.end(0, ending(Outcome.REACHED, 8.5)),
        lambda: ledger.pause(1, 320),
        lambda: ledger.start_again(1, "you"),
        lambda: ledger.create(
            SPACE, RECIPE, num_devices=1, owner="me", origin=Origin(parent=1, examples=320, replaces=1)
        ),
        lambda: ledger.end(1, ending(Outcome.FAILED)),
        lambda: ledger.record_request("a", {"kind": "stop", "trial": 1}),
        lambda: record(place, fence=2),  # trials that began and ended between two looks
    ]
    for change in changes:
        change()
        list(reader.read())
        assert reader.trials() == read(place).trials()
    assert reader.requests() == list(ledger.requests().values())
    before = reader.trials()
    list(reader.read())
    assert all(one is other for one, other in zip(before, reader.trials(), strict=True))
