"""``history``: what a study was and found, which studies meet a condition, and what is damaged."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.errors import UserError
from largebatch.studies.answer.past_studies.condition import parse_condition
from largebatch.studies.answer.past_studies.reading import SCHEMA, read_history
from largebatch.studies.cli import command
from largebatch.studies.record.lease.lease import Lease


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> Path:
    """Two studies, one of them deep down; the other was begun a day later and by another name."""
    shutil.copytree(finished, tmp_path / "a")
    other = tmp_path / "more" / "deep" / "b"
    shutil.copytree(finished, other)
    text = (other / "study.yaml").read_text()
    day = text.split("# created: ")[1].splitlines()[0]
    later = text.replace(day, "2099-01-01 00:00:00 +0000").replace("workers: [1, 2, 4]", "workers: [1, 2, 8]")
    (other / "study.yaml").write_text(later)
    return tmp_path


def test_a_row_says_what_study_and_plan_say(finished: Path) -> None:
    (row,) = read_history(finished).rows
    plan = json.loads((finished / "plan.json").read_text())
    knee = plan["knee"]["num_workers"] or plan["choices"]["fastest"]
    at_knee = next(one for one in plan["rows"] if one["num_workers"] == knee)
    one_worker = next(one for one in plan["rows"] if one["num_workers"] == 1)
    assert row["state"] == "finished"
    assert (row["name"], row["task"], row["searcher"], row["num_workers"]) == ("small", "digits", "grid", 4)
    assert row["num_trials"] == row["num_reached"] == 3
    assert row["optimizer"] == "nesterov"
    assert row["global_batch_size"] == at_knee["global_batch_size"]
    assert row["learning_rate"] == at_knee["recipe"]["learning_rate"]
    assert row["seconds_one_worker"] == one_worker["seconds_to_target"]
    assert row["created"].startswith("20")


def test_newest_first_or_by_a_column(runs: Path) -> None:
    assert [row["num_workers"] for row in read_history(runs).rows] == [8, 4]
    assert [row["num_workers"] for row in read_history(runs, sort="num_workers").rows] == [4, 8]
    assert [row["num_workers"] for row in read_history(runs, where="num_workers>=8").rows] == [8]
    with pytest.raises(UserError, match=r"--sort: unknown column 'num_worker'; did you mean 'num_workers'\?"):
        read_history(runs, sort="-num_worker")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: (path / "study.yaml").write_text("name: [1"), "not valid YAML"),
        (lambda path: (path / "study.yaml").write_bytes(b"\xff\xfe"), "it is no text"),
        (lambda path: (path / "study.yaml").unlink(), "holds no study"),
        (lambda path: (path / "ledger.log").unlink(), "holds no study"),
        (lambda path: (path / "ledger.log").write_text("{}\n"), "holds what no ledger holds"),
        (lambda path: (path / "plan.json").write_text('{"rows": ['), "JSONDecodeError"),
        (lambda path: (path / "plan.json").write_text("{}"), "KeyError: 'rows'"),
        (lambda path: (path / "profile.json").write_text("[]"), "profile.json is damaged"),
    ],
)
def test_a_damaged_study_is_told_and_stops_nothing(
    runs: Path, damage: Callable[[Path], object], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(runs / "a")
    history = read_history(runs)
    assert [row["num_workers"] for row in history.rows] == [8]
    (damaged,) = history.damaged
    assert damaged["directory"] == str(runs / "a")
    assert expected in damaged["problem"]


def test_states(runs: Path) -> None:
    def state() -> str:
        return next(str(row["state"]) for row in read_history(runs).rows if row["num_workers"] == 4)

    (runs / "a" / "plan.json").unlink()
    assert state() == "no plan"
    (runs / "a" / "report.html").unlink()
    assert state() == "unfinished"
    with Lease(runs / "a"):
        assert state() == "running"
    assert state() == "unfinished"


def test_a_study_file_of_a_user_s_own_is_no_damaged_study(runs: Path) -> None:
    (runs / "more" / "study.yaml").write_text("name: mine\n")
    assert len(read_history(runs).rows) == 2
    assert not read_history(runs).damaged


TABLE = pa.Table.from_pylist(
    [
        {"name": "one", "task": "gw", "num_workers": 64, "steps": 80.5, "state": "finished"},
        {"name": "two", "task": "gw", "num_workers": 8, "steps": None, "state": "no plan"},
        {"name": "Three", "task": "mine:task", "num_workers": 128, "steps": 10.0, "state": "finished"},
    ],
    schema=SCHEMA,
)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("task=gw and num_workers>=64", ["one"]),
        ("task=gw or num_workers>100", ["one", "two", "Three"]),
        ("task = mine:task", ["Three"]),
        ("NOT task=gw", ["Three"]),
        ("state='no plan'", ["two"]),
        ('state!="no plan" and steps<=10', ["Three"]),
        ("steps>0", ["one", "Three"]),
        ("name~THR", ["Three"]),
        ("name=one or name=two and num_workers=64", ["one"]),
        ("(name=one or name=two) and not (num_workers=64)", ["two"]),
        ("num_workers<1e2 and num_workers==8", ["two"]),
    ],
)
def test_conditions(where: str, expected: list[str]) -> None:
    assert TABLE.filter(parse_condition(where, SCHEMA))["name"].to_pylist() == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", "expected a column where its end is"),
        ("tusk=gw", "unknown column 'tusk'; did you mean 'task'?"),
        ("task gw", "expected one of = != < <= > >= ~ where 'gw' is"),
        ("task=", "expected a value for task where its end is"),
        ("steps>many", "steps holds numbers; got 'many'"),
        ("steps~8", "~ is for text, and steps holds numbers"),
        ("(task=gw", "expected `)` where its end is"),
        ("task=gw)", "expected and, or, or the end where ')' is"),
        ("task ( gw", "expected one of = != < <= > >= ~ where '( gw' is"),
        ("task='gw", "expected a column, an operator or a value where"),
        ("(" * 60, "nested deeper than 50"),
        ("__import__('os').system('true')", "unknown column '__import__'"),
    ],
)
def test_what_is_no_condition(where: str, expected: str) -> None:
    with pytest.raises(UserError) as mistake:
        parse_condition(where, SCHEMA)
    assert expected in str(mistake.value)


@given(
    st.text()
    | st.lists(st.sampled_from(["task", "steps", "=", ">=", "~", "(", ")", "not", "and", "or", "1", "'a b'"])).map(
        " ".join
    )
)
def test_any_text_is_a_condition_or_a_mistake(where: str) -> None:
    try:
        condition = parse_condition(where, SCHEMA)
    except UserError:
        return
    assert isinstance(condition, pc.Expression)
    TABLE.filter(condition)


def test_the_command(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["largebatch", "history", *arguments])
        return command(), *capsys.readouterr()

    monkeypatch.setenv("COLUMNS", "200")
    (runs / "a" / "plan.json").write_text("")
    code, printed, _ = said(str(runs))
    assert code == 0
    assert "small" in printed
    assert "2099-01-01 00:00" in printed
    assert f"damaged: {runs / 'a'} is damaged" in printed
    code, printed, _ = said(str(runs), "--json", "--where", "num_workers>=8", "--sort", "-steps")
    found = json.loads(printed)
    assert len(found["studies"]) == len(found["damaged"]) == 1
    code, _, errors = said(str(runs), "--where", "num_workers>=")
    assert code == 2
    assert errors.startswith("largebatch: --where: expected a value for num_workers")
    code, _, errors = said(str(runs / "none"))
    assert code == 2
    assert "is no folder" in errors
