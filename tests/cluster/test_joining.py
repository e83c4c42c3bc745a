"""Two batch jobs of a real Slurm, each with a Ray of its own, serve one study at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .virtual_cluster import LARGEBATCH, VirtualCluster, result

pytestmark = pytest.mark.slow


def test_two_batch_jobs_serve_one_study(cluster: VirtualCluster, folder: Path, local: Mapping[int, Any]) -> None:
    run = (LARGEBATCH, "run", "small.yaml", "--address", "auto", "--join", "--out", "shared")
    jobs = [cluster.submit(folder, *run, options=("--nodes", "1")) for _ in range(2)]
    assert [job.end() for job in jobs] == ["COMPLETED"] * 2, [job.log for job in jobs]
    assert sum("this job's devices train for it" in job.log for job in jobs) == 1
    assert all("2 jobs" in job.log for job in jobs)
    assert result(folder / "shared") == local
