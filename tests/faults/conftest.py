"""One process that types commands, for all tests here."""

from collections.abc import Iterator

import pytest

from .campaign import Forked, forked


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    with forked(tmp_path_factory.mktemp("forked")) as server:
        yield server
