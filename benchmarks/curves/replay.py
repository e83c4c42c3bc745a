"""The recorded curves as a study to search: what a training would have measured, at no cost but the lookup.

A recipe is trained by the recorded one next to it (same batch size and optimizer, the nearest rate and warm-up in log);
its seed chooses among the recorded ones. Costs are in examples, times those of a made-up cluster (``Cluster``).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from record import BATCH_SIZES, CURVE, LEARNING_RATES, NORM_BATCH_SIZE, OPTIMIZERS, SEEDS, WARMUP_EPOCHS

from largebatch.schedulers.trial.scheduler import Scheduler
from largebatch.search.searcher import Searcher
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Outcome, Trial

FOLDER = Path(__file__).parent
TARGETS = {
    "digits": Target(metric="val_accuracy", above=0.95),
    "waveforms": Target(metric="val_loss", below=0.005),
    "galaxies": Target(metric="val_accuracy", above=0.9),
}
WORKERS = (1, 2, 4, 8, 16, 32)
SPACE = Space.model_validate(
    {
        "global_batch_size": {"choices": list(BATCH_SIZES)},
        "learning_rate": {"low": LEARNING_RATES[0], "high": LEARNING_RATES[-1], "scale": "log2"},
        "optimizer": {"choices": list(OPTIMIZERS)},
        "warmup_epochs": {"choices": list(WARMUP_EPOCHS)},
        "norm_batch_size": NORM_BATCH_SIZE,
    }
)
FAR, STIFFNESS = 3.0, 1e-3
"""Doublings beyond which recipes do not smooth one another; a weak pull of the quadratic to flatness."""
Cell = tuple[int, str, float, float]
"""Batch size, optimizer, learning rate, warm-up."""


class Cluster:
    """A step costs as much as ``FIXED`` examples and its own, and ``SYNC`` of the fixed cost a doubling of workers."""

    FIXED, SYNC, EXAMPLE_SECONDS = 32.0, 0.15, 1e-4
    workers = WORKERS

    def log_seconds(self, global_batch_size: int) -> NDArray[np.float64]:
        """See ``StepSeconds``: whole groups of ``NORM_BATCH_SIZE`` examples only."""
        logs = []
        for count in WORKERS:
            groups = global_batch_size // min(global_batch_size, NORM_BATCH_SIZE)
            examples = self.FIXED * (1 + self.SYNC * math.log2(count)) + global_batch_size / count
            logs.append(math.log(self.EXAMPLE_SECONDS * examples) if groups % count == 0 else math.inf)
        return np.array(logs)

    def alone(self, global_batch_size: int) -> float:
        """See ``StepSeconds``."""
        return self.EXAMPLE_SECONDS * (self.FIXED + global_batch_size)


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded training."""

    curve: tuple[tuple[int, int, float], ...]
    """Step, examples, metric."""
    outcome: Outcome
    steps_to_target: float | None
    examples_to_target: float | None


class Table:
    """All recorded trainings of a task; ``shuffled`` permutes its batch sizes by a seed, a task without any law."""

    def __init__(self, name: str, shuffled: int | None = None) -> None:
        self.target = TARGETS[name]
        sizes = list(BATCH_SIZES)
        drawn = sizes if shuffled is None else np.random.default_rng(shuffled).permutation(sizes).tolist()
        named = dict(zip(sizes, drawn, strict=True))
        self._trainings: dict[Cell, dict[int, Recorded]] = {}
        for size, cell, seed, recorded in _read(name):
            at = (named[size], *cell)
            steps = recorded.steps_to_target
            if shuffled is not None and steps is not None:  # the steps go with the batch size's new name
                recorded = replace(recorded, examples_to_target=steps * named[size])
            if shuffled is not None:
                curve = tuple((step, step * named[size], value) for step, _, value in recorded.curve)
                recorded = replace(recorded, curve=curve)
            self._trainings.setdefault(at, {})[seed] = recorded
        self.max_examples = max(r.curve[-1][1] for runs in self._trainings.values() for r in runs.values())

    def snap(self, recipe: Recipe) -> Recipe:
        """The recorded recipe next to this one."""
        rate = min(LEARNING_RATES, key=lambda one: abs(math.log(one / recipe.learning_rate)))
        warmup = min(WARMUP_EPOCHS, key=lambda one: abs(one - (recipe.warmup_epochs or 0.0)))
        return recipe.model_copy(update={"learning_rate": rate, "warmup_epochs": warmup})

    def training(self, recipe: Recipe, seed: int) -> Recorded:
        """What the training of a snapped recipe measured."""
        cell = (recipe.global_batch_size, recipe.optimizer, recipe.learning_rate, recipe.warmup_epochs or 0.0)
        runs = self._trainings.get(cell) or self._trainings[(*cell[:3], WARMUP_EPOCHS[0])]
        return runs.get(seed) or runs[SEEDS[0]]

    def true_steps(self) -> dict[Cell, float]:
        """Steps of each recipe of which any seed reached the target: their mean in log.

        Where all seeds did, smoothed with the recipes near by, which would else make the luckiest of them the best
        known. A seed that did not counts with all the examples that it was given (a restricted mean).
        """
        means, truth = {}, {}
        for cell, runs in self._trainings.items():
            steps = [run.steps_to_target for run in runs.values()]
            if any(one is not None for one in steps):
                most = self.max_examples / cell[0]
                mean = float(np.mean(np.log([most if one is None else one for one in steps])))
                (truth if None in steps else means)[cell] = mean
        truth |= {cell: _smoothed(cell, means) for cell in means}
        return {cell: math.exp(one) for cell, one in truth.items()}


def _smoothed(cell: Cell, means: dict[Cell, float]) -> float:
    """A quadratic in log(batch size) and log(rate) through the means near by, with normal weights of one doubling."""
    alike = [other for other in means if (other[1], other[3]) == (cell[1], cell[3])]
    b = np.array([math.log2(other[0] / cell[0]) for other in alike])
    r = np.array([math.log2(other[2] / cell[2]) for other in alike])
    near = b**2 + r**2 < FAR**2
    b, r = b[near], r[near]
    values = np.array([means[other] for other in alike])[near]
    weights = np.exp(-0.5 * (b**2 + r**2))
    terms = np.stack([np.ones_like(r), r, r**2, b, b * r, b**2], axis=1)
    held = np.diag([0.0, *[STIFFNESS] * 5])  # else few neighbours leave it undetermined
    return float(np.linalg.solve(terms.T @ (weights[:, None] * terms) + held, terms.T @ (weights * values))[0])


def recorded_of(line: dict[str, Any]) -> Recorded:
    """A line of the recorder's journal."""
    step, examples, value = (CURVE.index(name) for name in ("step", "examples", "value"))
    curve = tuple((int(row[step]), int(row[examples]), float(row[value])) for row in line["curve"])
    return Recorded(curve, Outcome(line["outcome"]), line["steps_to_target"], line["examples_to_target"])


def _read(name: str) -> Iterator[tuple[int, tuple[str, float, float], int, Recorded]]:
    trials = pq.read_table(FOLDER / "data" / f"{name}-trials.parquet").to_pylist()
    curves: dict[int, list[tuple[int, int, float]]] = {}
    for row in pq.read_table(FOLDER / "data" / f"{name}-curves.parquet").to_pylist():
        curves.setdefault(row["trial"], []).append((int(row["step"]), int(row["examples"]), float(row["value"])))
    for row in trials:
        recorded = Recorded(
            tuple(curves[row["trial"]]), Outcome(row["outcome"]), row["steps_to_target"], row["examples_to_target"]
        )
        cell = (row["optimizer"], row["learning_rate"], row["warmup_epochs"])
        yield row["global_batch_size"], cell, row["seed"], recorded


def best_times(truth: dict[Cell, float], cluster: Cluster) -> NDArray[np.float64]:
    """log(time to target) of the best recorded recipe at each worker count, shape (W,)."""
    return np.min([math.log(steps) + cluster.log_seconds(cell[0]) for cell, steps in truth.items()], axis=0)


def regrets(
    recipes: dict[int, Recipe], truth: dict[Cell, float], cluster: Cluster, best_W: NDArray[np.float64]
) -> NDArray[np.float64]:
    """log(true time / best time) at each worker count of the recipes chosen for them; infinite where there is none."""
    found = np.full(len(WORKERS), np.inf)
    for w, recipe in recipes.items():
        cell = (recipe.global_batch_size, recipe.optimizer, recipe.learning_rate, recipe.warmup_epochs or 0.0)
        found[w] = math.log(truth.get(cell, math.inf)) + cluster.log_seconds(cell[0])[w] - best_W[w]
    return found


class Replay:
    """A study over the table, one trial after the other."""

    def __init__(self, table: Table, scheduler: Scheduler | None, seed: int) -> None:
        self.table, self.scheduler = table, scheduler
        self.trials: list[Trial] = []
        self.examples = 0
        self._rng = np.random.default_rng(seed)

    def train(self, recipe: Recipe, why: str = "") -> Trial:
        """Train a recipe until its end or until the scheduler stops it; the examples are spent."""
        recipe = self.table.snap(recipe)
        recorded = self.table.training(recipe, int(self._rng.integers(len(SEEDS))))
        number, seen = len(self.trials), {}
        trial = Trial(number=number, recipe=recipe, num_devices=1, running=True, intermediate={}, why=why)
        ending = None
        for step, examples, value in recorded.curve:
            seen[examples] = value
            trial = replace(trial, intermediate=dict(seen))
            done = recorded.outcome is Outcome.REACHED and self.table.target.reached(value)
            if step == 0 or done or self.scheduler is None:
                continue
            decision = self.scheduler.decide(trial, [*self.trials, trial])
            if decision.action == "stop":
                ending = self._ending(Outcome.STOPPED, step, examples, decision.why)
                break
        if ending is None:
            step, examples, _ = recorded.curve[-1]
            ending = self._ending(recorded.outcome, step, examples, "")
            if recorded.outcome is Outcome.REACHED:
                ending = replace(
                    ending, steps_to_target=recorded.steps_to_target, examples_to_target=recorded.examples_to_target
                )
        trial = replace(trial, running=False, ending=ending)
        self.trials.append(trial)
        self.examples += ending.examples
        return trial

    def search(self, searcher: Searcher, seed: int, max_examples: int, max_trials: int) -> Iterator[Trial]:
        """Trials that a searcher of ours proposes, until either limit or its end."""
        while self.examples < max_examples and len(self.trials) < max_trials:
            proposal = searcher.ask(SPACE, self.trials, seed)
            if proposal is None:
                return
            yield self.train(proposal.recipe, proposal.why)

    @staticmethod
    def _ending(outcome: Outcome, step: int, examples: int, reason: str) -> Ending:
        return Ending(outcome=outcome, step=step, examples=examples, seconds=1e-3 * step, reason=reason)


def best_observed(trials: Sequence[Trial], cluster: Cluster) -> dict[int, Recipe]:
    """By index of the worker count, the recipe of the least time that a trial showed."""
    found: dict[int, tuple[float, Recipe]] = {}
    for trial in trials:
        if trial.steps_to_target is None:
            continue
        time_W = math.log(max(trial.steps_to_target, 1e-9)) + cluster.log_seconds(trial.recipe.global_batch_size)
        for w, time in enumerate(time_W.tolist()):
            if math.isfinite(time) and time < found.get(w, (math.inf, trial.recipe))[0]:
                found[w] = (time, trial.recipe)
    return {w: recipe for w, (_, recipe) in found.items()}
