"""A finished study with a training beside it, made once."""

from pathlib import Path

import pytest

from largebatch.studies.run import run_study
from largebatch.studies.training.train import plan_training, train

from ..small_study import small_study


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    run_study(small_study(examples_per_trial=8_000), out, in_process=True)
    train(plan_training(out, 4, None), on_progress=lambda *_: None, in_process=True)
    return out
