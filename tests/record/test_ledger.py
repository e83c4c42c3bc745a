"""The ledger's file, where half a line is mended; curves; what a trial says."""

from pathlib import Path

import pytest

from largebatch.spaces.trial import Ending, Measurement, Outcome, Trial
from largebatch.studies.record.curves import read_curve, write_curve
from largebatch.studies.record.lease import fenced_journal
from largebatch.studies.record.ledger import Ledger

from .recipes import RECIPE, SPACE

MEASUREMENT = Measurement(step=4, examples=128, seconds=0.5, values={"val_accuracy": 0.8, "train_loss": 0.3})


def ending(outcome: Outcome, steps: float | None = None) -> Ending:
    return Ending(outcome=outcome, step=10, examples=320, seconds=1.5, steps_to_target=steps, reason="so")


def record(path: Path) -> Ledger:
    ledger = Ledger(path, "study", create=True)
    for outcome in Outcome:
        trial = ledger.create(SPACE, RECIPE, num_devices=1, owner="me")
        ledger.measure(trial.number, MEASUREMENT, "val_accuracy")
        ledger.end(trial.number, ending(outcome, 7.5 if outcome is Outcome.REACHED else None))
    ledger.create(SPACE, RECIPE, num_devices=2, owner="me")
    return ledger


def test_a_ledger_cut_anywhere_is_mended(tmp_path: Path) -> None:
    """Whatever byte a killed writer got to, whole lines are kept and new ones can follow."""
    whole = tmp_path / "whole.log"
    written = record(whole).trials()
    content = whole.read_bytes()
    first_line = content.index(b"\n") + 1
    for length in range(first_line, len(content), 97):
        path = tmp_path / "cut.log"
        path.write_bytes(content[:length])
        (tmp_path / "cut.log.lock").touch()
        ledger = Ledger(path, "study", create=True)
        kept = ledger.trials()
        assert len(kept) <= len(written)
        assert [trial for trial in kept if trial.ending] == written[: sum(trial.ending is not None for trial in kept)]
        added = ledger.create(SPACE, RECIPE, num_devices=1, owner="next")
        assert Ledger(path, "study", create=False).trials()[added.number].running


def test_curves_round_trip(tmp_path: Path) -> None:
    later = Measurement(step=8, examples=256, seconds=1.0, values={"val_accuracy": 0.9, "train_loss": float("inf")})
    write_curve(tmp_path / "curves", 3, [MEASUREMENT, later])
    assert read_curve(tmp_path / "curves", 3) == [MEASUREMENT, later]
    assert read_curve(tmp_path / "curves", 4) == []
    write_curve(tmp_path / "curves", 5, [])
    assert read_curve(tmp_path / "curves", 5) == []


def test_unreached_trials_are_censored() -> None:
    trial = Trial(
        number=0, recipe=RECIPE, num_devices=1, running=False, intermediate={}, ending=ending(Outcome.STOPPED)
    )
    assert trial.steps_to_target is None
    assert trial.examples_to_target is None
    assert trial.step_seconds == pytest.approx(0.15)


def test_a_copy_whose_owner_was_stopped_does_not_take_the_place_of_a_newer_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped at the worst moment: its copy is written, and is about to be put in the place of the ledger."""
    path, put = tmp_path / "ledger.log", fenced_journal._put
    record(path)
    newer: list[Ledger] = []

    def stopped(copy: Path, ledger: Path, descriptor: int) -> None:
        monkeypatch.setattr(fenced_journal, "_put", put)
        newer.append(Ledger(path, "study", create=True, fence=3))
        newer[0].create(SPACE, RECIPE, num_devices=1, owner="newer")
        put(copy, ledger, descriptor)

    monkeypatch.setattr(fenced_journal, "_put", stopped)
    with pytest.raises(OSError, match=r"ledger\.log"):
        Ledger(path, "study", create=True, fence=2)
    newer[0].create(SPACE, RECIPE, num_devices=1, owner="newer")
    assert Ledger(path, "study", create=False).trials() == newer[0].trials()
