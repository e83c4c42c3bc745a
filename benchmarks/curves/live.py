"""The recorded table's recipes, trained anew: every training that a search asks for is really run, with fresh seeds.

What was trained is kept in ``journal/live-TASK.jsonl``, so that two methods that ask for the same recipe and seed see
the same training, and a comparison that was stopped goes on. Plans are still judged by the recorded table.
"""

import json

from record import FOLDER, TASKS, read_journal, train
from replay import Recorded, Table, recorded_of

from largebatch.spaces.recipe import Recipe
from largebatch.trainers.task import load_task

FRESH = 10
"""Added to a recorded seed: no training of the table is seen again."""


class LiveTable(Table):
    """A table whose trainings are run when they are asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._task, self._journal = load_task(TASKS[name], {}), FOLDER / "journal" / f"live-{name}.jsonl"
        self._trained = {_key(line["cell"]): recorded_of(line) for line in read_journal(self._journal)}

    def training(self, recipe: Recipe, seed: int) -> Recorded:
        """Train a snapped recipe; it gives up where the recorded ones of its batch size did."""
        cell = {
            "global_batch_size": recipe.global_batch_size, "optimizer": recipe.optimizer,
            "learning_rate": recipe.learning_rate, "warmup_epochs": recipe.warmup_epochs or 0.0, "seed": seed + FRESH,
        }  # fmt: skip
        if _key(cell) not in self._trained:
            line = train(self._task, cell, self._best_of(recipe.global_batch_size))
            with self._journal.open("a") as file:
                file.write(json.dumps(line) + "\n")
            self._trained[_key(cell)] = recorded_of(line)
        return self._trained[_key(cell)]

    def _best_of(self, size: int) -> float:
        found = [
            run.examples_to_target
            for cell, runs in self._trainings.items()
            if cell[0] == size
            for run in runs.values()
            if run.examples_to_target is not None
        ]
        return min(found)


def _key(cell: dict[str, float | str]) -> tuple[float | str, ...]:
    return tuple(cell[name] for name in ("global_batch_size", "optimizer", "learning_rate", "warmup_epochs", "seed"))
