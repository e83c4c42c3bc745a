"""A finished study, made once."""

from pathlib import Path

import pytest

from largebatch.studies.run import run_study

from ..small_study import small_study


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "small"
    run_study(small_study(examples_per_trial=20_000), out, in_process=True)
    return out
