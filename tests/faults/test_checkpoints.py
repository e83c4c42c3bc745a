"""A checkpoint that is damaged, another recipe's, or written by two: never gone on from, and never without a word."""

import logging
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Action, Ending, Measurement, Origin, Outcome
from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.testing import make_trial
from largebatch.trainers.checkpoint import CheckpointWriter, UnusableCheckpoint, branch_checkpoint, load_checkpoint
from largebatch.trainers.run_to_target import run_to_target
from largebatch.trainers.training import Training

from .tasks.faulty import sound

CPU = torch.device("cpu")
RECIPE = Recipe(global_batch_size=64, learning_rate=0.05, optimizer="adamw")
OTHER = Recipe(global_batch_size=64, learning_rate=0.04, optimizer="adamw")
TARGET = Target(metric="val_accuracy", above=0.93)


def train(recipe: Recipe, checkpoint: Path, *, pause_at: int = 10**9) -> tuple[Ending, dict[int, float]]:
    """How it ended, and the metric at each evaluation, by step."""
    seen: dict[int, float] = {}

    def measured(measurement: Measurement) -> Action:
        seen[measurement.step] = measurement.values["val_accuracy"]
        return "pause" if measurement.step >= pause_at else "go on"

    training = Training(sound(), recipe, max_examples=6_000, device=CPU)
    return run_to_target(training, TARGET, on_measurement=measured, checkpoint=checkpoint), seen


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a training with ``RECIPE`` that was paused."""
    path = tmp_path_factory.mktemp("saved") / "last.pt"
    ending, _ = train(RECIPE, path, pause_at=15)
    assert ending.outcome is Outcome.PREEMPTED
    return path


def test_whatever_bit_is_wrong_it_is_refused_or_the_same(saved: Path, tmp_path: Path) -> None:
    content, path, refused = saved.read_bytes(), tmp_path / "last.pt", 0
    expected = load_checkpoint(saved, CPU, RECIPE)
    places = range(0, len(content), len(content) // 300)
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = load_checkpoint(path, CPU, RECIPE)
        except UnusableCheckpoint:
            refused += 1
        else:  # what fills up between the parts says nothing
            assert str(found) == str(expected)
            assert all(torch.equal(found["training"]["model"][k], v) for k, v in expected["training"]["model"].items())
    assert refused > len(places) / 4


def test_whatever_is_cut_off_it_is_refused(saved: Path, tmp_path: Path) -> None:
    content, path = saved.read_bytes(), tmp_path / "last.pt"
    for length in [*range(0, len(content), len(content) // 100), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(UnusableCheckpoint, match="is damaged"):
            load_checkpoint(path, CPU)


@pytest.mark.parametrize("fault", ["damaged", "another recipe's", "missing"])
def test_a_training_that_cannot_go_on_begins_anew_to_the_same_end(
    fault: str, saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed, wanted = train(RECIPE, tmp_path / "never.pt")
    path = tmp_path / "last.pt"
    if fault == "damaged":
        path.write_bytes(saved.read_bytes()[:-100])
    elif fault == "another recipe's":
        train(OTHER, path, pause_at=15)
    ending, seen = train(RECIPE, path)
    assert seen == wanted
    assert replace(ending, seconds=0) == replace(undisturbed, seconds=0)
    said = {"damaged": "is damaged", "another recipe's": "is of another recipe", "missing": ""}[fault]
    assert [said in line and "begins anew" in line for line in caplog.messages] == [True] * (fault != "missing")


def test_what_no_trial_may_go_on_from_is_removed(saved: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Three trials: the first has ended, the second runs, the third runs and is damaged; a fourth was once."""
    store = CheckpointStore(tmp_path, 10**9)
    for number in range(4):
        store.last(number).write_bytes(saved.read_bytes()[: -1 if number == 2 else None])
        store.best(number).write_bytes(b"weights")
    (tmp_path / "trial-mine.pt").touch()
    ended = make_trial(0, recipe=RECIPE, outcome=Outcome.EXHAUSTED, step=1)
    assert store.begin([ended, make_trial(1, recipe=RECIPE), make_trial(2, recipe=RECIPE)]) == {}
    left = {path.name for path in tmp_path.iterdir()}
    mine = {"trial-000001.pt", "trial-mine.pt"}
    assert left == {f"trial-{number:06d}.best.pt" for number in range(3)} | mine
    assert len(caplog.messages) == 1
    assert "trial-000002.pt is damaged" in caplog.messages[0]
    assert caplog.messages[0].endswith("trial 2 begins anew")
    assert caplog.records[0].levelno == logging.WARNING


def test_a_branch_goes_on_with_its_own_recipe_and_cannot_begin_untrained(saved: Path, tmp_path: Path) -> None:
    store, origin = CheckpointStore(tmp_path, 10**9), Origin(parent=0, examples=1216, replaces=1)
    store.last(0).write_bytes(saved.read_bytes())
    store.branch(0, 1, OTHER)
    assert load_checkpoint(store.last(1), CPU, OTHER)["training"]["examples"] == 1216
    with pytest.raises(UnusableCheckpoint, match="is of another recipe"):
        load_checkpoint(store.last(1), CPU, RECIPE)
    parent, branch = make_trial(0, recipe=RECIPE), make_trial(1, recipe=OTHER, origin=origin)
    assert store.begin([parent, branch]) == {}
    store.last(1).write_bytes(b"")
    lost = store.begin([parent, branch])
    assert "trial-000001.pt is damaged" in lost[1]
    assert not store.last(1).exists()
    assert "trial-000001.pt is missing" in store.begin([parent, branch])[1]
    store.last(0).write_bytes(b"half")
    with pytest.raises(UnusableCheckpoint, match="is damaged"):
        branch_checkpoint(store.last(0), store.last(1), OTHER)
    assert not list(tmp_path.glob(".*"))


def test_of_two_writers_each_writes_whole_files(tmp_path: Path) -> None:
    """As an owner that was taken over and its successor do."""
    path, over = tmp_path / "last.pt", threading.Event()

    def write(value: int) -> None:
        writer = CheckpointWriter()
        while not over.is_set():
            writer.save({path: {"of": torch.full((50_000,), value)}})
        writer.wait()

    threads = [threading.Thread(target=write, args=(value,)) for value in (1, 2)]
    for thread in threads:
        thread.start()
    seen: set[int] = set()
    reads = 0
    while reads < 40 or len(seen) < 2:
        try:
            found = load_checkpoint(path, CPU)["of"]
        except FileNotFoundError:
            continue
        assert bool((found == found[0]).all())
        seen.add(int(found[0]))
        reads += 1
    over.set()
    for thread in threads:
        thread.join()
    assert [one.name for one in tmp_path.iterdir()] == ["last.pt"]
