"""The progress of data that is prepared, and the end in words."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from largebatch.studies.views.terminal.narrow import is_live
from largebatch.trainers.datasets.images.manifest import Manifest

LINE_SECONDS = 10.0
"""Seconds between two lines where the output is not a terminal."""
NAMED = 10
"""Unreadable images that are named; the manifest has all."""


class PrepareProgress:
    """A bar for each split on a terminal, a line now and then elsewhere."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(quiet=quiet, highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=self._console, transient=True)
        self._splits: dict[str, TaskID] = {}
        self._printed = time.monotonic()

    def __enter__(self) -> "PrepareProgress":
        if is_live(self._console):
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if is_live(self._console):
            self._bars.stop()

    def show(self, split: str, done: int, total: int) -> None:
        """Tell how many items are done."""
        if split not in self._splits:
            self._splits[split] = self._bars.add_task(split, total=total)
        self._bars.update(self._splits[split], completed=done)
        if not is_live(self._console) and time.monotonic() - self._printed >= LINE_SECONDS:
            self._console.print(f"{split}: {done:,} of {total:,}")
            self._printed = time.monotonic()


def prepared_json(out: Path, made: Mapping[str, Manifest]) -> dict[str, Any]:
    """What was made, or verified, for ``--json``."""
    return {
        "out": str(out),
        "splits": {
            name: {
                "images": manifest.num_images,
                "classes": len(manifest.classes),
                "shards": len(manifest.shards),
                "bytes": manifest.num_bytes,
                "fingerprint": manifest.fingerprint,
                "unreadable": [{"name": one.name, "reason": one.reason} for one in manifest.unreadable],
                "reduced": manifest.reduced,
            }
            for name, manifest in made.items()
        },
    }


def print_prepared(out: Path, made: Mapping[str, Manifest], *, verified: bool) -> None:
    """The same in words."""
    console = Console(highlight=False)
    for name, manifest in made.items():
        said = "whole" if verified else f"{len(manifest.unreadable)} unreadable and left out"
        console.print(
            f"{out / name}: {manifest.num_images:,} images of {len(manifest.classes):,} classes, "
            f"{len(manifest.shards):,} shards, {manifest.num_bytes / 1e6:,.1f} MB; {said}",
            soft_wrap=True,
        )
        for one in [] if verified else manifest.unreadable[:NAMED]:
            console.print(f"  {one.name}: {one.reason}", soft_wrap=True, markup=False)
        if not verified and len(manifest.unreadable) > NAMED:
            console.print(f"  and {len(manifest.unreadable) - NAMED} more, in {out / name / 'manifest.json'}")
        for what, count in () if verified else manifest.reduced.items():
            console.print(f"  {count:,} images with {what}", soft_wrap=True, markup=False)
