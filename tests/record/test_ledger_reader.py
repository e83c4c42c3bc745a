"""The reader that follows a ledger says what the ledger says, whenever it looks."""

from pathlib import Path

import pytest

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Ending, Measurement, Origin, Outcome
from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.record.curve_reader import CurveReader
from largebatch.studies.record.curves import write_curve
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.ledger_reader import LedgerReader

SPACE = Space.model_validate(
    {"global_batch_size": {"choices": [32, 64]}, "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
)
RECIPE = Recipe(global_batch_size=64, learning_rate=0.3)


def measurement(step: int) -> Measurement:
    return Measurement(step=step, examples=64 * step, seconds=0.1 * step, values={"loss": 1 / (1 + step)})


def read(reader: LedgerReader) -> int:
    return sum(1 for _ in reader.read())


def test_the_reader_says_what_the_ledger_says_after_every_change(tmp_path: Path) -> None:
    path = tmp_path / "ledger.log"
    ledger, other = Ledger(path, "other", create=True), Ledger(path, "mine", create=True)
    reader = LedgerReader(path, "mine")
    ending = Ending(outcome=Outcome.REACHED, step=9, examples=576, seconds=0.9, steps_to_target=8.5)
    failed = Ending(outcome=Outcome.FAILED, step=0, examples=0, seconds=0.0, reason="no <b>such</b> file")
    changes = [
        lambda: other.create(SPACE, RECIPE, num_devices=1, owner="me", why="first"),
        lambda: ledger.create(SPACE, RECIPE, num_devices=1, owner="me", why="another study's"),
        lambda: other.measure(0, measurement(0), "loss"),
        lambda: other.measure(0, measurement(5), "loss"),
        lambda: other.create(SPACE, RECIPE, num_devices=2, owner="me", repeat_of=0, request="r"),
        lambda: other.end(0, ending),
        lambda: other.pause(1, 320),
        lambda: other.start_again(1, "you"),
        lambda: other.create(
            SPACE, RECIPE, num_devices=1, owner="me", origin=Origin(parent=1, examples=320, replaces=1)
        ),
        lambda: other.end(1, failed),
        lambda: other.record_request("a", {"kind": "stop", "trial": 1}),
        lambda: other.set_elapsed_seconds(12.5),
    ]
    for change in changes:
        change()
        read(reader)
        assert reader.trials() == other.trials()
    assert reader.requests() == list(other.requests().values())
    assert reader.elapsed_seconds() == 12.5
    assert read(reader) == 0


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "ledger.log"
    ledger = Ledger(path, "mine", create=True)
    ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
    text = path.read_bytes()
    path.write_bytes(text[:-20])
    reader = LedgerReader(path, "mine")
    read(reader)
    assert reader.trials() == []
    path.write_bytes(text)
    read(reader)
    assert reader.trials() == ledger.trials()


@pytest.mark.parametrize(
    "text", ["no ledger\n", "[1, 2]\n", '{"op_code": 4}\n', '{"op_code":0,"study_name":"mine"}\n{']
)
def test_what_is_no_ledger_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ledger.log"
    path.write_text(text + "\n")
    with pytest.raises(UserMistake, match=r"ledger\.log"):
        read(LedgerReader(path, "mine"))


def test_a_ledger_in_the_place_of_another_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.log"
    Ledger(path, "mine", create=True).create(SPACE, RECIPE, num_devices=1, owner="me")
    reader = LedgerReader(path, "mine")
    read(reader)
    path.write_text("")
    with pytest.raises(UserMistake, match="shorter"):
        read(reader)


def test_a_curve_is_read_again_when_it_grew_and_a_broken_one_is_empty(tmp_path: Path) -> None:
    reader = CurveReader(tmp_path)
    assert reader.curve(3) == {}
    write_curve(tmp_path, 3, [measurement(step) for step in range(4)])
    assert reader.curve(3)["loss"].steps.tolist() == [0, 1, 2, 3]
    assert reader.curve(3) is reader.curve(3)
    write_curve(tmp_path, 3, [measurement(step) for step in range(5)])
    assert reader.curve(3)["loss"].values.tolist() == [1 / (1 + step) for step in range(5)]
    (tmp_path / "trial-000004.parquet").write_text("broken")
    assert reader.curve(4) == {}
