"""What `train` says of a target that was met between two evaluations."""

from typing import Any

import pytest

from largebatch.studies.views.terminal.train_progress import print_result


def said(capsys: pytest.CaptureFixture[str], **changes: Any) -> str:
    """Of a training that met its target at 120 steps or so, predicted at 100."""
    predicted = {
        "steps": 100.0, "steps_low": 90.0, "steps_high": 110.0,
        "seconds_to_target": 10.0, "seconds_low": 9.0, "seconds_high": 11.0,
    }  # fmt: skip
    result = {
        "num_workers": 2, "num_devices": 2, "outcome": "reached", "reason": "", "weights": "best.pt", "steps": 150,
        "steps_to_target": 120.5, "seconds_to_target": 12.0, "predicted": predicted,
    }  # fmt: skip
    print_result(result | changes)
    return capsys.readouterr().out


def test_the_measured_steps_have_an_interval_beside_the_predicted_one(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, steps_low=100, steps_high=150, seconds_low=10.0, seconds_high=15.0)
    assert "after 120.5 steps (between the evaluations at 100 and 150); predicted 100.0 (90.0 to 110.0)" in out
    assert "That took 12 s" in out


def test_before_the_first_evaluation_is_an_upper_bound(capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, steps_low=0, steps_high=150, seconds_low=0.0, seconds_high=15.0)
    assert "before the first evaluation, after 150 steps at most" in out
    assert "120.5" not in out
    assert "That took at most 15 s" in out


def test_a_training_of_an_earlier_version_is_told_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    assert "reached after 120.5 steps; predicted" in said(capsys)
