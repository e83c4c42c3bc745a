"""The reader that follows a ledger's file, where it is half written or another one; and the reader of curves."""

from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Measurement
from largebatch.studies.record.curve_reader import CurveReader
from largebatch.studies.record.curves import write_curve
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.ledger_follower import LedgerReader

SPACE = Space.model_validate(
    {"global_batch_size": {"choices": [32, 64]}, "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
)
RECIPE = Recipe(global_batch_size=64, learning_rate=0.3)


def measurement(step: int) -> Measurement:
    return Measurement(step=step, examples=64 * step, seconds=0.1 * step, values={"loss": 1 / (1 + step)})


def read(reader: LedgerReader) -> int:
    return sum(1 for _ in reader.read())


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
    with pytest.raises(UserError, match=r"ledger\.log"):
        read(LedgerReader(path, "mine"))


def test_a_ledger_in_the_place_of_another_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.log"
    Ledger(path, "mine", create=True).create(SPACE, RECIPE, num_devices=1, owner="me")
    reader = LedgerReader(path, "mine")
    read(reader)
    path.write_text("")
    with pytest.raises(UserError, match="shorter"):
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
