"""Repeats: the finalists of each batch size once more with other seeds, so that no winner owes it to one lucky run.

A finalist is one of the two recipes of the fewest steps at a batch size that matters, which is one that is among the
best at some worker count. Finalists of a batch size share the seeds of their repeats, so that they are compared in
pairs; the runs that made them finalists do not count, for they were chosen for their luck (the winner's curse).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from largebatch.search.laws.law import INTERVAL
from largebatch.spaces.passage_interval import PassageInterval
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_seconds import StepSeconds
from largebatch.spaces.trial import Trial

NUM_FINALISTS = 2
MATTERS = 0.1
"""A batch size matters if its best trial is within this, in log, of the best time at some worker count."""
ENOUGH = 0.03
"""Standard error of a finalist's log(steps) below which it is repeated no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two finalists of a batch size over the seeds that both were repeated with.

    ``ratio`` is the geometric mean of the steps of ``second`` over those of ``first``, trials' numbers; its 90 %
    interval by Student's t on the paired differences of log(steps), infinite where one pair alone was run, and by how
    far apart evaluations lie, which more pairs do not reduce.
    """

    global_batch_size: int
    first: int
    second: int
    num_seeds: int
    ratio: float
    low: float
    high: float


def wanted_repeats(trials: Sequence[Trial], repeats: int, seconds: StepSeconds | None) -> list[Trial]:
    """The trials to repeat next, in order; a trial that waits or runs counts as run.

    Args:
        trials: All trials so far.
        repeats: The most repeats of a finalist; none below 2.
        seconds: Of a step at the plan's worker counts; None: every batch size matters.
    """
    wanted: list[tuple[int, Trial]] = []
    for finalists in _finalists(trials, seconds) if repeats > 1 else []:
        for finalist in finalists:
            own = [trial for trial in trials if trial.repeat_of == finalist.number]
            logs = [math.log(max(t.steps_to_target or 1.0, 1e-9)) for t in own if t.reached]
            if len(logs) > 1 and float(np.std(logs, ddof=1)) / math.sqrt(len(logs)) < ENOUGH:
                continue
            wanted += [(index, finalist) for index in range(len(own), repeats)]
    return [trial for _, trial in sorted(wanted, key=lambda pair: (pair[0], pair[1].number))]


def repeat_seed(trials: Sequence[Trial], finalist: Trial) -> int:
    """The seed of the next repeat: the same for the k-th repeat of every finalist, and used by no other trial."""
    done = sum(trial.repeat_of == finalist.number for trial in trials)
    return finalist.recipe.seed // 1_000_000 * 1_000_000 + 900_000 + done


def compare_finalists(trials: Sequence[Trial]) -> list[Comparison]:
    """For each batch size of which two finalists were repeated, the paired comparison; the better one is first."""
    by_number = {trial.number: trial for trial in trials}
    runs: dict[int, dict[int, dict[int, PassageInterval]]] = {}
    for trial in trials:
        if trial.repeat_of is not None and trial.passage is not None:
            size = by_number[trial.repeat_of].recipe.global_batch_size
            runs.setdefault(size, {}).setdefault(trial.repeat_of, {})[trial.recipe.seed] = trial.passage
    found = []
    for size, steps in sorted(runs.items()):
        if len(steps) < 2:
            continue
        few = sorted(steps, key=lambda number: -len(steps[number]))[:2]
        seeds = sorted(steps[few[0]].keys() & steps[few[1]].keys())
        if not seeds:
            continue
        first, second = ([steps[number][seed] for seed in seeds] for number in few)
        apart = np.array([two.log_middle - one.log_middle for one, two in zip(first, second, strict=True)])
        unseen = math.hypot(*(float(np.mean([one.log_spread for one in some])) for some in (first, second)))
        if apart.mean() < 0:
            few, apart = few[::-1], -apart
        width = math.inf
        if len(apart) > 1:
            width = float(stdtrit(len(apart) - 1, INTERVAL[1]) * apart.std(ddof=1) / math.sqrt(len(apart)))
        width = math.hypot(width, stdtrit(math.inf, INTERVAL[1]) * unseen)
        middle = float(apart.mean())
        found.append(
            Comparison(
                global_batch_size=size, first=few[0], second=few[1], num_seeds=len(seeds), ratio=math.exp(middle),
                low=math.exp(middle - width), high=math.exp(middle + width),
            )
        )  # fmt: skip
    return found


def winner(trials: Sequence[Trial]) -> Trial | None:
    """Of trials of one batch size the best, None where none reached the target.

    Where finalists were repeated, the one whose repeats took the fewest steps (geometric mean); else the fewest steps.
    """
    again: dict[int, list[float]] = {}
    for trial in trials:
        if trial.repeat_of is not None and trial.steps_to_target is not None:
            again.setdefault(trial.repeat_of, []).append(math.log(max(trial.steps_to_target, 1e-9)))
    reached = [trial for trial in trials if trial.reached and (trial.number in again or not again)]
    if again:
        return min(reached, key=lambda trial: float(np.mean(again[trial.number])), default=None)
    return min(reached, key=lambda trial: trial.steps_to_target or math.inf, default=None)


def _finalists(trials: Sequence[Trial], seconds: StepSeconds | None) -> list[list[Trial]]:
    """Of each batch size that matters its finalists, the trials that made them so."""
    reached = [trial for trial in trials if trial.reached and trial.repeat_of is None]
    sizes = sorted({trial.recipe.global_batch_size for trial in reached})
    ranked = []
    for size in sizes:
        here = [trial for trial in reached if trial.recipe.global_batch_size == size]
        once: dict[Recipe, Trial] = {}
        for trial in sorted(here, key=lambda one: (one.steps_to_target or math.inf, one.number)):
            once.setdefault(trial.recipe.model_copy(update={"seed": 0}), trial)
        ranked.append(list(once.values())[:NUM_FINALISTS])
    if seconds is None or not ranked:
        return ranked
    logs_GW = np.array(
        [
            math.log(max(first[0].steps_to_target or 1.0, 1e-9)) + seconds.log_seconds(size)
            for size, first in zip(sizes, ranked, strict=True)
        ]
    )
    with np.errstate(invalid="ignore"):
        matters = (logs_GW - logs_GW.min(axis=0) < MATTERS).any(axis=1)
    return [finalists for finalists, does in zip(ranked, matters.tolist(), strict=True) if does]


def best_trials(trials: Sequence[Trial]) -> dict[int, Trial]:
    """For each batch size its best trial (see ``winner``), ascending by batch size.

    Of those that kept their recipe: a branch trained under other batch sizes or rates before.
    """
    kept = [trial for trial in trials if trial.origin is None]
    sizes = sorted({trial.recipe.global_batch_size for trial in kept})
    found = {size: winner([trial for trial in kept if trial.recipe.global_batch_size == size]) for size in sizes}
    return {size: trial for size, trial in found.items() if trial is not None}
