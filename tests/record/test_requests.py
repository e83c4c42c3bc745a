"""Requests of other processes: taken once, whatever is killed, and only as what they are."""

import json
import time
from pathlib import Path

import pytest

from largebatch.spaces.domain import Choice, Range
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.requests import Enqueue, Narrow, Stop, asked, narrowed, read_requests, write_request
from largebatch.studies.running.steering import Steering

SPACE = Space.model_validate(
    {
        "global_batch_size": {"choices": [32, 64]},
        "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"},
    }
)
RECIPE = Recipe(global_batch_size=64, learning_rate=0.3)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.log", "study", create=True)


def steering(ledger: Ledger, folder: Path) -> Steering:
    return Steering(ledger=ledger, folder=folder)


def test_requests_come_back_in_the_order_of_asking(tmp_path: Path) -> None:
    requests = [
        Enqueue(recipe=RECIPE, **asked()),
        Narrow(name="learning_rate", domain=Range(low=0.1, high=0.5, scale="log"), **asked()),
        Stop(trial=3, **asked()),
    ]
    for request in requests:
        write_request(tmp_path / "requests", request)
    assert list(read_requests(tmp_path / "requests").values()) == requests
    assert "@" in requests[0].by


def test_files_that_are_no_requests_do_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"kind": "enqueue"')
    (tmp_path / "b.json").write_text('{"kind": "run", "command": "rm"}')
    (tmp_path / "c.json").write_text("[1, 2]")
    (tmp_path / ".d.tmp").write_text("half")
    assert read_requests(tmp_path) == {}
    assert read_requests(tmp_path / "nowhere") == {}


def test_a_recipe_asked_for_becomes_one_trial_though_the_coordinator_is_killed(ledger: Ledger, tmp_path: Path) -> None:
    """Killed between the ledger's record and the removal of the file: the file is there again, the request is not."""
    folder = tmp_path / "requests"
    write_request(folder, Enqueue(recipe=RECIPE, **asked()))
    (path,) = folder.glob("*.json")
    text = path.read_text()
    steering(ledger, folder).poll()
    assert not path.exists()
    path.write_text(text)
    again = steering(Ledger(tmp_path / "ledger.log", "study", create=False), folder)
    again.poll()
    assert not path.exists()
    wanted = again.next_recipe()
    assert wanted is not None
    assert wanted.recipe == RECIPE
    ledger.create(SPACE, RECIPE, num_devices=1, owner="me", why=wanted.why, request=wanted.name)
    assert steering(ledger, folder).next_recipe() is None
    assert json.loads(text)["kind"] == "enqueue"


def test_the_space_of_now_and_the_study_s_own(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "requests"
    write_request(folder, Narrow(name="learning_rate", domain=Range(low=0.1, high=0.2, scale="log"), **asked()))
    write_request(folder, Narrow(name="global_batch_size", domain=Choice(choices=(64,)), **asked()))
    one = steering(ledger, folder)
    one.poll()
    assert one.space(SPACE).batch_sizes == (64,)
    write_request(folder, Narrow(name="learning_rate", domain=Range(low=0.05, high=0.5, scale="log"), **asked()))
    later = steering(ledger, folder)
    later.poll()
    rates = later.space(SPACE).root["learning_rate"]
    assert isinstance(rates, Range)
    assert (rates.low, rates.high) == (0.05, 0.5)
    assert narrowed(SPACE, []) == SPACE


@pytest.mark.parametrize("recorded_between", [False, True])
def test_the_later_request_holds_though_the_clock_went_back(
    recorded_between: bool, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, now = tmp_path / "requests", time.time_ns()
    for low, clock in ((0.1, now), (0.2, now - 3600 * 10**9), (0.3, now - 7200 * 10**9)):
        monkeypatch.setattr(time, "time_ns", lambda clock=clock: clock)
        write_request(folder, Narrow(name="learning_rate", domain=Range(low=low, high=1.0, scale="log"), **asked()))
        if recorded_between:
            steering(ledger, folder).poll()
    last = steering(ledger, folder)
    last.poll()
    rates = last.space(SPACE).root["learning_rate"]
    assert isinstance(rates, Range)
    assert rates.low == 0.3
    assert [one["domain"]["low"] for one in ledger.requests().values()] == [0.1, 0.2, 0.3]


def test_only_a_running_trial_stops(ledger: Ledger, tmp_path: Path) -> None:
    trial = ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
    for number in (trial.number, 7):
        write_request(tmp_path / "requests", Stop(trial=number, **asked()))
    one = steering(ledger, tmp_path / "requests")
    one.poll()
    assert (one.stops(trial.number) or "").startswith("stopped by ")
    assert one.stops(7) is None
    assert sorted(request["became"] for request in ledger.requests().values()) == ["refused: it does not run", "taken"]


def test_a_human_s_own_values_are_recorded(ledger: Ledger) -> None:
    own = Recipe(global_batch_size=48, learning_rate=3.0, norm_batch_size=16)
    trial = ledger.create(SPACE, own, num_devices=1, owner="me")
    assert ledger.trials()[trial.number].recipe == own
