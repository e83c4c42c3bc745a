"""For all tests: one thread of torch, as the worker of a small machine has, and nothing from the user's own Ray.

The tasks of ``tests/tasks`` are found by name (``quick:task``), also by the processes that tests start.
"""

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for the processes that tests start
os.environ.pop("RAY_ADDRESS", None)
TASKS = str(Path(__file__).parent / "tasks")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (TASKS, os.environ.get("PYTHONPATH"))))
sys.path.insert(0, TASKS)

ONE_AT_A_TIME = {
    **dict.fromkeys(("engine", "outliving", "test_kills_with_ray.py", "test_doctor_cluster.py"), "ray"),
    "cluster": "cluster",
}
"""Folders and files of tests that fill the machine, in groups: those of a group take turns on one process of
pytest-xdist, for several Rays that start at once on two cores run into their time limits."""
FIRST = (
    "ray", "test_joining.py", "test_storage_studies.py", "test_kills.py", "test_tutorials.py", "test_pages.py",
    "test_check.py",
)  # fmt: skip
"""The longest groups and files, the longest first, so that in the end no process waits for another."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one file stay together, for they share what they set up."""
    place = {name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(group(item), len(place)))
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))


def group(item: pytest.Item) -> str:
    return ONE_AT_A_TIME.get(item.path.parent.name, ONE_AT_A_TIME.get(item.path.name, item.path.name))


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
