"""One virtual cluster for all tests of this folder, and one study."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from .virtual_cluster import LARGEBATCH, SETTINGS, STUDY, TASK, VirtualCluster, missing, result


@pytest.fixture(scope="session")
def cluster() -> Iterator[VirtualCluster]:
    why = missing()
    if why is not None:
        pytest.skip(f"NO SLURM, so nothing of it is tested here: {why}")
    made = VirtualCluster()
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user works, on the shared file system."""
    made = tmp_path_factory.mktemp("work")
    for name, text in {"small.yaml": STUDY, "paced.py": TASK, "largebatch.toml": SETTINGS}.items():
        (made / name).write_text(text)
    return made


@pytest.fixture(scope="session")
def local(folder: Path) -> Mapping[int, Any]:
    """What the study finds without a cluster."""
    command = [LARGEBATCH, "run", "small.yaml", "--out", "local", "--in-process"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return result(folder / "local")
