"""A clock that jumps, and a ledger from which the end was cut."""

from pathlib import Path

import pytest

from ..effort import TIMES
from .campaign import KILLED, PLAIN, Forked, Undisturbed, finished, moments, trials


@pytest.fixture(scope="module")
def undisturbed(server: Forked, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(server, tmp_path_factory.mktemp("sound"), PLAIN)


def test_a_clock_that_jumps_by_days(undisturbed: Undisturbed, server: Forked, tmp_path: Path) -> None:
    out = tmp_path / "small"
    assert server.run(undisturbed.study, out, at_change=undisturbed.ended.changes // 2, clock_jumps=True).code == KILLED
    undisturbed.equals(server.run(undisturbed.study, out, clock_jumps=True), server, out)


def test_a_ledger_cut_after_any_line_goes_on_from_there(
    undisturbed: Undisturbed, server: Forked, tmp_path: Path
) -> None:
    """Checkpoints and curves of later trials lie about meanwhile; none is gone on from. One may be ahead of its own."""
    out = tmp_path / "small"
    server.run(undisturbed.study, out, at_change=int(undisturbed.ended.changes * 0.7))
    for share in moments("lines", 2 * TIMES):
        lines = (out / "ledger.log").read_bytes().splitlines(keepends=True)
        (out / "ledger.log").write_bytes(b"".join(lines[: max(1, int(share * len(lines)))]))
        before = finished(out)
        server.run(undisturbed.study, out, at_change=int(undisturbed.ended.changes * 0.5))
        after = finished(out)
        assert {one: after[one] for one in before} == before
        assert len(trials(out)) <= len(undisturbed.story)
    undisturbed.equals(server.run(undisturbed.study, out), server, out)
