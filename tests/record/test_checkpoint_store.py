"""One budget of bytes for all checkpoints of a study."""

from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.trial import Outcome, Trial
from largebatch.studies.record.checkpoint_store import CheckpointStore, readable
from largebatch.testing import make_trial

BYTES = 100


def reached(number: int, batch: int, examples: float) -> Trial:
    return make_trial(
        number, steps_to_target=examples / batch, examples_to_target=examples, step=10, examples=1000,
        global_batch_size=batch,
    )  # fmt: skip


TRIALS = [
    reached(0, 32, 900.0),
    reached(1, 32, 500.0),
    make_trial(2, outcome=Outcome.EXHAUSTED, step=10, examples=1000, global_batch_size=64),
    reached(3, 64, 950.0),
    reached(4, 32, 700.0),
]


def kept(folder: Path, limit_bytes: int) -> set[int]:
    """Which best weights remain after the trials ended in turn, each with ``last`` and ``best``."""
    store = CheckpointStore(folder, limit_bytes)
    folder.mkdir()
    for index, ended in enumerate(TRIALS):
        for path in (store.last(ended.number), store.best(ended.number)):
            path.write_bytes(b"x" * BYTES)
        store.end(ended.number, TRIALS[: index + 1])
        assert not store.last(ended.number).exists()
        assert sum(path.stat().st_size for path in folder.iterdir()) <= max(limit_bytes, 0)
    return {ended.number for ended in TRIALS if store.best(ended.number).exists()}


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (10 * BYTES, {0, 1, 3, 4}),  # what never reached the target is not kept
        (3 * BYTES, {1, 3, 4}),  # the best of 32 and of 64, then the better of the others
        (2 * BYTES, {1, 3}),
        (BYTES, {1}),
        (BYTES - 1, set()),
    ],
)
def test_the_best_of_each_batch_size_are_kept_first(tmp_path: Path, limit: int, expected: set[int]) -> None:
    assert kept(tmp_path / "checkpoints", limit) == expected


def test_a_running_trial_keeps_its_state(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, BYTES)
    store.last(7).write_bytes(b"x" * BYTES)
    store.end(0, [TRIALS[0]])
    assert store.last(7).exists()


def test_what_cannot_fit_is_refused(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", 1000)
    store.refuse_what_cannot_fit(bytes_a_trial=500, num_running=2)
    with pytest.raises(UserError, match=r"3 trials at once need 1.5 kB .* the budget is 1 kB; raise it to 1500 or"):
        store.refuse_what_cannot_fit(bytes_a_trial=500, num_running=3)
    with pytest.raises(UserError, match=r"the disk has .* left; make room"):
        CheckpointStore(tmp_path / "checkpoints", 10**18).refuse_what_cannot_fit(bytes_a_trial=10**17, num_running=1)


def test_bytes_are_readable() -> None:
    assert [readable(value) for value in (999, 1500, 2e10, 5e15)] == ["999 bytes", "1.5 kB", "20 GB", "5,000 TB"]
