"""The files of one guest; ``messages.py`` says who writes which."""

from pathlib import Path

from largebatch.studies.record.checkpoint_store import CheckpointStore
from largebatch.studies.running.joining.messages import FOLDER, Lines


def guests_of(directory: Path, fence: int) -> Path:
    """Where those come who serve the study in ``directory`` with the owner of that fence."""
    return directory / FOLDER / f"{fence:06d}"


class GuestFolder:
    """``path`` is the guest's own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asks, self.answers = Lines(path / "asks"), Lines(path / "answers")
        self.presence = path / "presence"
        self.checkpoints = CheckpointStore(path / "checkpoints", 0)  # the owner's has the limit


def move_checkpoints(source: CheckpointStore, target: CheckpointStore, number: int) -> None:
    """Move what is saved of a trial."""
    for of in (CheckpointStore.measured, CheckpointStore.last, CheckpointStore.best):
        here, there = of(source, number), of(target, number)
        if here.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            here.replace(there)
