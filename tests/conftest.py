"""For all tests: one thread of torch, as the worker of a small machine has, and nothing from the user's own Ray."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for the processes that tests start
os.environ.pop("RAY_ADDRESS", None)

ONE_AT_A_TIME = ("engine", "cluster", "outliving")
"""Folders of tests that fill the machine: those of one take turns on one process of pytest-xdist."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file stay together, for they share what they set up."""
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder in ONE_AT_A_TIME else item.path.name))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a pytest that takes no groups from pytest-xdist, as 9.2 does from 3.8: all tests would be dealt singly."""
    if session.config.getoption("loadgroup", default=False):
        assert all("@" in item.nodeid for item in session.items), "pytest-xdist cannot group the tests of this pytest"


@pytest.fixture(scope="session")
def module_beside() -> Callable[[str, str], ModuleType]:
    """Load a module by a file beside it and its name, for importlib mode cannot import it from a ``conftest.py``."""

    def load(beside: str, name: str) -> ModuleType:
        path = Path(beside).with_name(f"{name}.py")
        spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{name}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
