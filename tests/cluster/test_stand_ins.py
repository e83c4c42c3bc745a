"""PBS and LSF end to end, with stand-ins of their commands: no real one was at hand."""

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from .stand_ins import install
from .virtual_cluster import LARGEBATCH, result

pytestmark = pytest.mark.slow
PATIENCE_SECONDS = 200
FIRST_LEAVES = '[ -e "$1-left" ] || {{ touch "$1-left"; exit 75; }}; exec {} run small.yaml --out "$1" {}'
"""A command that leaves its first job at once as a study does that saved itself, and runs the study in the second."""
OPTIONS = "--address auto --budget-trials 2"


class Jobs(NamedTuple):
    """One job of each system, both at once."""

    logs: Mapping[str, Path]
    environment: Mapping[str, str]


@pytest.fixture(scope="module")
def jobs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    place = tmp_path_factory.mktemp("stand-ins")
    install(place / "bin", place / "state")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment["PATH"] = f"{place / 'bin'}:{environment['PATH']}"
    logs = {}
    for system in ("pbs", "lsf"):
        asked = ["--nodes", "2", "--cpus-per-node", "1", "--time", "0:10:00"]
        work = ["bash", "-c", FIRST_LEAVES.format(LARGEBATCH, OPTIONS), "bash", system]
        said = subprocess.run(
            [LARGEBATCH, "cluster", system, *asked, "--", *work],
            cwd=folder, env=environment, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        logs[system] = Path(next(line.split(maxsplit=1)[1] for line in said.splitlines() if line.startswith("Log: ")))
    return Jobs(logs, environment)


@pytest.mark.parametrize("system", ["pbs", "lsf"])
def test_a_study_is_put_back_and_finds_what_one_machine_finds(
    system: str, jobs: Jobs, folder: Path, local: Mapping[int, Any]
) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (row := _status(jobs, folder)[jobs.logs[system]]) != "ended":
        assert time.monotonic() < deadline, f"{row}\n{jobs.logs[system].read_text()}"
        time.sleep(1)
    log = jobs.logs[system].read_text()
    assert log.count("2 of 2 nodes are ready") == 2, log
    assert log.count("back into the queue") == 1, log
    assert result(folder / system) == {number: local[number] for number in (0, 1)}, log


def _status(jobs: Jobs, folder: Path) -> dict[Path, str]:
    said = subprocess.run(
        [LARGEBATCH, "cluster", "status", "--json"],
        cwd=folder, env=jobs.environment, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return {Path(row["log"]): row["state"] for row in json.loads(said)}
