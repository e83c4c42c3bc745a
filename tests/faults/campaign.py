"""What the tests here share: studies that are killed at a moment, and what must be true of what they leave."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from largebatch.spaces.trial import Trial
from largebatch.studies.record.curves import read_curve
from largebatch.studies.record.ledger import Ledger

from ..effort import TIMES

MOMENTS = 3 * TIMES
"""At which studies in process are killed."""
HERE = Path(__file__).parent
TASKS = {"PYTHONPATH": str(HERE / "tasks"), "OMP_NUM_THREADS": "1"}
"""For processes that are to find the tasks here."""
CLOCKS = {"evaluation_seconds", "save_seconds"}
KILLED = -9

PLAIN = """\
name: small
task: faulty:sound
workers: [1, 2]
space:
  global_batch_size: {choices: [64]}
  learning_rate: {low: 0.02, high: 0.2, scale: log}
search: {name: halton, seed: 1}
scheduler: {name: none}
budget: {trials: 5, examples_per_trial: 6000}
repeats: 2
resources: {checkpoint_seconds: 0.02}
"""
"""Of one batch size: with more, the measured time of a step decides which of them are repeated."""
POPULATION = (
    PLAIN.replace("{name: none}", "{name: pbt, perturbation_examples: 1500}")
    .replace("trials: 5, examples_per_trial: 6000", "trials: 6, examples_per_trial: 4000")
    .replace("low: 0.02", "low: 0.002")
    .replace("[64]", "[64, 128]")
    .replace("workers: [1, 2]", "workers: [1, 2]\ntarget: {metric: val_accuracy, above: 0.99}")
)
"""Pauses, branches, and a target that nobody reaches: its end is exit code 2."""


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    seconds: float
    changes: int


class Forked:
    """Types `largebatch` in a process of its own, at once (``forked.py``)."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._typed = folder, 0
        environment = {**os.environ, **TASKS, "XDG_CACHE_HOME": str(folder / "cache")}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "forked.py")],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(
        self, study: Path, out: Path, *options: str, at_change: int | None = None, after: float | None = None,
        spare_bytes: int | None = None, clock_jumps: bool = False,
    ) -> Ended:  # fmt: skip
        """`largebatch run`, killed in its ``at_change``-th change of a file or ``after`` so many seconds.

        With ``spare_bytes`` of memory, or with a clock that jumps by days.
        """
        self._typed += 1
        errors = self._folder / f"said-{self._typed}.txt"
        asked = {
            "words": ["run", str(study), "--out", str(out), "--in-process", *options], "out": str(out),
            "errors": str(errors), "kill_at_change": at_change, "kill_after_seconds": after,
            "spare_bytes": spare_bytes, "clock_jumps": clock_jumps,
        }  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline())
        self.said = errors.read_text()
        counted = errors.with_suffix(".txt.changes")
        return Ended(answer["code"], answer["seconds"], int(counted.read_text()) if counted.exists() else 0)


@contextmanager
def forked(folder: Path) -> Iterator[Forked]:
    server = Forked(folder)
    try:
        yield server
    finally:
        assert server.process.stdin is not None
        assert server.process.stdout is not None
        server.process.stdin.close()
        server.process.stdout.close()
        assert server.process.wait(30) == 0


def trials(out: Path) -> list[Trial]:
    """What the ledger holds, none where it holds no study yet."""
    ledger = out / "ledger.log"
    if not ledger.exists() or b"\n" not in ledger.read_bytes():
        return []
    return Ledger(ledger, "small", create=False).trials()


def finished(out: Path) -> dict[int, Trial]:
    """Those that have ended, each as it is recorded, its seconds too."""
    return {trial.number: trial for trial in trials(out) if trial.ending is not None}


def story(out: Path) -> list[Any]:
    """All that a study with this seed must come to, however often it was disturbed: everything but times."""
    return [
        (
            trial.number, trial.recipe, dict(trial.intermediate), trial.origin, trial.repeat_of, trial.why,
            trial.ending and (
                trial.ending.outcome, trial.ending.step, trial.ending.examples, trial.ending.steps_to_target,
                trial.ending.reason,
            ),
            [
                (m.step, m.examples, {name: repr(value) for name, value in m.values.items() if name not in CLOCKS})
                for m in read_curve(out / "curves", trial.number)
            ],
        )
        for trial in trials(out)
    ]  # fmt: skip


def left_behind(out: Path) -> list[str]:
    """Files that a finished study has no use for."""
    used = {f"trial-{trial.number:06d}.best.pt" for trial in trials(out)}
    return [
        str(path.relative_to(out))
        for path in sorted(out.rglob("*"))
        if path.name.endswith(".tmp") or ".lock" in path.name or (path.suffix == ".pt" and path.name not in used)
    ]


def moments(kind: str, count: int) -> Sequence[float]:
    """Shares of a study's length, the same ones each time: one in each of ``count`` equal parts, in any order."""
    source = random.Random(kind)
    return source.sample([(part + source.random()) / count for part in range(count)], count)


class Undisturbed:
    """A study that nothing happens to, to compare with."""

    def __init__(self, server: Forked, folder: Path, text: str) -> None:
        self.study, out = folder / "small.yaml", folder / "small"
        self.study.write_text(text)
        self.ended = server.run(self.study, out)
        self.story, self.left, self.said = story(out), left_behind(out), server.said

    def equals(self, ended: Ended, server: Forked, out: Path) -> None:
        """Nothing has happened to that one either, as far as its record says."""
        assert ended.code == self.ended.code, server.said
        assert "Traceback" not in server.said, server.said
        assert story(out) == self.story
        assert left_behind(out) == []
