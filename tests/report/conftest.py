from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from largebatch.studies.views.report.page import write_report


@pytest.fixture(scope="session")
def example(module_beside: Callable[[str, str], ModuleType]) -> ModuleType:
    """The made-up study beside this file."""
    return module_beside(__file__, "example")


@pytest.fixture
def write(tmp_path: Path, example: ModuleType) -> Any:
    """Write a report of the made-up study with some arguments changed; the path of the page."""

    def write(**changes: Any) -> Path:
        trials = changes.pop("trials", example.trials())
        arguments = {
            "study_name": "digits",
            "target": example.TARGET,
            "trials": trials,
            "curves": {trial.number: example.curve(trial) for trial in trials if trial.ending is not None},
            "laws": example.laws(),
            "plan": example.plan(),
            "facts": {"device": "one core", "torch": "2.9"},
            "problem": None,
        }
        path = tmp_path / "report.html"
        write_report(path, **(arguments | changes))
        return path

    return write
