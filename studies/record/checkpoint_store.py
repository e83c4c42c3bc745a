"""The checkpoints of a study and their one budget of bytes."""

import logging
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from largebatch.spaces.errors import UserError
from largebatch.spaces.number_text import format_number
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Trial
from largebatch.trainers.checkpoint_path import best_path, measured_path

_OURS = re.compile(r"trial-\d{6,}(\.best)?\.pt|trial-\d{6,}\.measured\.jsonl")


class CheckpointStore:
    """Two files a trial: ``last``, all that it needs to go on, and the ``best`` weights so far.

    Args:
        folder: Where they lie.
        limit_bytes: What all of them may take.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._kept: dict[int, int] | None = None  # trial that has ended -> bytes of its best weights, once one has

    def last(self, number: int) -> Path:
        """Where trial ``number`` saves its state while it runs; its best weights lie beside it."""
        return self._folder / f"trial-{number:06d}.pt"

    def best(self, number: int) -> Path:
        """The best weights of trial ``number``."""
        return best_path(self.last(number))

    def measured(self, number: int) -> Path:
        """What trial ``number`` had measured when it saved its state."""
        return measured_path(self.last(number))

    def branch(self, parent: int, number: int, recipe: Recipe) -> None:
        """Let trial ``number``, of ``recipe``, begin from the state that ``parent`` saved.

        Raises:
            UnusableCheckpoint: if that is damaged.
        """
        from largebatch.trainers.checkpoint import branch_checkpoint

        branch_checkpoint(self.last(parent), self.last(number), recipe)

    def saved_examples(self, number: int) -> int | None:
        """After how many examples trial ``number`` saved its state, None where it has none."""
        from largebatch.trainers.checkpoint import saved_examples

        return saved_examples(self.last(number))

    def begin(self, trials: Sequence[Trial]) -> dict[int, str]:
        """Remove what no trial may go on from, for a driver that begins; return which branches are lost, and why.

        That is left by a driver that was killed, or belongs to trials after those that a shortened or older ledger
        has. A trial whose state is damaged begins anew, to the same end; a branch would begin untrained, and cannot.
        """
        from largebatch.trainers.checkpoint import UnusableCheckpoint, refuse_unusable

        unfinished = [trial for trial in trials if trial.ending is None]
        known = {self.best(trial.number) for trial in trials}
        known |= {path for trial in unfinished for path in (self.last(trial.number), self.measured(trial.number))}
        for path in self._folder.glob("trial-*"):
            if _OURS.fullmatch(path.name) and path not in known:
                path.unlink(missing_ok=True)
        lost = {}
        for trial in unfinished:
            try:
                refuse_unusable(self.last(trial.number), trial.recipe)
            except FileNotFoundError:
                why = f"{self.last(trial.number)} is missing"
            except UnusableCheckpoint as error:
                self.last(trial.number).unlink()
                why = str(error)
                if trial.origin is None:
                    logging.getLogger(__name__).warning("%s; trial %d begins anew", error, trial.number)
            else:
                continue
            if trial.origin is not None:
                lost[trial.number] = f"{why}, and what it branched from is gone"
        return lost

    def refuse_what_cannot_fit(self, *, bytes_a_trial: int, num_running: int) -> None:
        """Refuse a study whose running trials alone would not fit.

        Raises:
            UserError: if they exceed the budget or the disk.
        """
        needed = bytes_a_trial * num_running
        if needed > self._limit_bytes:
            raise UserError(
                f"resources.checkpoint_bytes: {num_running} trials at once need {readable(needed)} for their "
                f"checkpoints, {readable(bytes_a_trial)} each; the budget is {readable(self._limit_bytes)}; raise it "
                f"to {needed} or more, or lower concurrent_trials"
            )
        free = shutil.disk_usage(self._folder.parent).free
        if needed > free:
            raise UserError(
                f"{self._folder.parent}: {num_running} trials at once need {readable(needed)} for their checkpoints, "
                f"and the disk has {readable(free)} left; make room, or choose another --out"
            )

    def end(self, number: int, trials: Sequence[Trial]) -> None:
        """Trial ``number`` has ended: drop its state, and the best weights worth least while too many are kept.

        The best of each batch size are worth most, then others that reached the target with fewer examples.
        """
        self.last(number).unlink(missing_ok=True)
        self.measured(number).unlink(missing_ok=True)
        ended = [trial.number for trial in trials if trial.ending is not None] if self._kept is None else [number]
        self._kept = self._kept or {}
        for one in ended:
            if size := _size(self.best(one)):
                self._kept[one] = size
                if not trials[one].reached:
                    self._drop(one)
        left = self._limit_bytes - sum(self._kept.values()) - self._running_bytes(trials)
        if left < 0:
            for trial in reversed(_by_worth([trials[one] for one in self._kept])):
                if left < 0:
                    left += self._drop(trial.number)

    def _running_bytes(self, trials: Sequence[Trial]) -> int:
        unfinished = [trial.number for trial in trials if trial.ending is None]
        return sum(_size(path) for one in unfinished for path in (self.last(one), self.measured(one), self.best(one)))

    def _drop(self, number: int) -> int:
        """Remove the best weights of a trial that has ended; their bytes."""
        assert self._kept is not None
        self.best(number).unlink(missing_ok=True)
        return self._kept.pop(number)


def _size(path: Path) -> int:
    """0 where it is not there."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _by_worth(trials: Sequence[Trial]) -> list[Trial]:
    ended = sorted(
        (trial for trial in trials if trial.ending is not None),
        key=lambda trial: (not trial.reached, trial.examples_to_target or 0.0, trial.number),
    )
    firsts: dict[int, Trial] = {}
    for trial in ended:
        firsts.setdefault(trial.recipe.global_batch_size, trial)
    best = {trial.number for trial in firsts.values()}
    return [*firsts.values(), *(trial for trial in ended if trial.number not in best)]


def readable(num_bytes: float) -> str:
    """Bytes as a person says them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{format_number(num_bytes)} {unit}"
        num_bytes /= 1000
    return f"{format_number(num_bytes)} TB"
