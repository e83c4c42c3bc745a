"""One virtual cluster for all tests of this folder."""

from collections.abc import Iterator

import pytest

from .virtual_cluster import VirtualCluster, missing


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
