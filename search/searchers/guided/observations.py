"""From trials to what the surrogate is told: steps to target, projections of them, and bounds."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import log_ndtr

from largebatch.search.searchers.guided.candidates import WILD
from largebatch.search.searchers.guided.surrogate import Seen
from largebatch.spaces.curve_projection import Passage, passages, project
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Outcome, Trial

FAR_SPREAD = 0.15
"""The law need not hold far above the valley's floor: a trial's own uncertainty for each factor of e above the best."""


UNSEEN = 0.5
"""A metric between two evaluations is not seen: the share of an evaluation's interval that a projection is off by."""


def kind_of(recipe: Recipe) -> tuple[str, str]:
    """What has a valley of its own: the optimizer, and whether rate or batch adapt."""
    return recipe.optimizer, recipe.adaptive


def see(
    kept: Sequence[Trial], reached: Sequence[Trial], sizes: Sequence[int], target: Target, max_examples: int
) -> Seen:
    """What ``kept`` trials say of their valley; projections go along the curves of ``reached`` ones.

    A trial that diverged or failed would at best reach the target with all the examples that a trial may take.
    """
    best: dict[int, float] = {}
    for trial in reached:
        size = trial.recipe.global_batch_size
        if trial.passage is not None:
            best[size] = min(best.get(size, math.inf), trial.passage.log_middle)
    references = passages(reached, target)
    rows = [_row(trial, best, references, target, max_examples) for trial in kept]
    return Seen(
        x_T=np.array([math.log(trial.recipe.effective_learning_rate) for trial in kept], dtype=float),
        group_T=np.array([list(sizes).index(trial.recipe.global_batch_size) for trial in kept], dtype=np.int64),
        y_T=np.array([row[0] for row in rows], dtype=float),
        spread_T=np.array([row[1] for row in rows], dtype=float),
        bound_T=np.array([row[2] for row in rows], dtype=bool),
    )


def _row(
    trial: Trial, best: dict[int, float], references: Sequence[Passage], target: Target, max_examples: int
) -> tuple[float, float, bool]:
    """log(steps), its uncertainty, and whether it is a lower bound."""
    size = trial.recipe.global_batch_size
    if (passage := trial.passage) is not None:
        y = passage.log_middle
        return y, math.hypot(FAR_SPREAD * max(y - best.get(size, y), 0.0), passage.bound_spread), False
    if trial.ending is not None and trial.ending.outcome in WILD:
        return math.log(max(max_examples / size, 1.0)), 0.0, True
    trained = math.log(max(trial.examples / size, 1.0))
    projection = project(trial, references, target)
    if projection is None or (trial.ending is not None and trial.ending.outcome is Outcome.EXHAUSTED):
        return trained, 0.0, True
    spread = math.hypot(projection.spread, UNSEEN * _log_interval(trial))
    return *_beyond(trained, projection.log_examples - math.log(size), spread), False


def _log_interval(trial: Trial) -> float:
    """By how much, in log, one more evaluation lengthens what was trained."""
    *_, before, last = sorted(trial.intermediate)
    return math.log(last / before) if before else 1.0


def _beyond(bound: float, mean: float, spread: float) -> tuple[float, float]:
    """Mean and standard deviation of a normal variable of which it is known that it lies above ``bound``."""
    at = (bound - mean) / spread
    hazard = math.exp(-0.5 * at**2 - 0.5 * math.log(2 * math.pi) - float(log_ndtr(-at)))
    return mean + spread * hazard, spread * math.sqrt(max(1 + at * hazard - hazard**2, 0.0))
