"""kill -9 of a study at random moments and in the middle of random changes of its files; then the same command again.

No trial that had ended is lost, doubled or changed, and in the end everything is as if nothing had happened.
"""

from pathlib import Path

import pytest

from .campaign import KILLED, MOMENTS, PLAIN, POPULATION, Ended, Forked, Undisturbed, finished, moments, trials


@pytest.fixture(scope="module", params=["plain", "population"])
def undisturbed(
    request: pytest.FixtureRequest, server: Forked, tmp_path_factory: pytest.TempPathFactory
) -> Undisturbed:
    text = {"plain": PLAIN, "population": POPULATION}[request.param]
    return Undisturbed(server, tmp_path_factory.mktemp(request.param), text)


def test_the_undisturbed_study(undisturbed: Undisturbed) -> None:
    assert undisturbed.ended.code in (0, 2)
    assert len(undisturbed.story) >= 5
    assert all(told[6] is not None for told in undisturbed.story)
    assert undisturbed.left == []


@pytest.mark.parametrize("kind", ["at a moment", "in a change"])
def test_killed_again_and_again_it_equals_the_study_that_was_not(
    kind: str, undisturbed: Undisturbed, server: Forked, tmp_path: Path
) -> None:
    number, kills = 0, 0
    for share in moments(kind, MOMENTS):
        out = tmp_path / f"study-{number}"
        before, was = finished(out), len(trials(out))
        ended = killed(kind, share, undisturbed, server, out)
        after = finished(out)
        assert {one: after.get(one) for one in before} == before, server.said
        assert was <= len(trials(out)) <= len(undisturbed.story)
        kills += ended.code == KILLED
        if ended.code != KILLED:
            undisturbed.equals(ended, server, out)
            number += 1
    out = tmp_path / f"study-{number}"
    undisturbed.equals(server.run(undisturbed.study, out), server, out)
    print(f"{kills} kills {kind}, {number + 1} studies")
    assert kills > 0


def killed(kind: str, share: float, undisturbed: Undisturbed, server: Forked, out: Path) -> Ended:
    """A study that is killed perhaps, for it may be over before."""
    if kind == "at a moment":
        return server.run(undisturbed.study, out, after=share * undisturbed.ended.seconds)
    return server.run(undisturbed.study, out, at_change=1 + int(share * undisturbed.ended.changes))
