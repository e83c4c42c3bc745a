"""When will a training that has not reached its target reach it? Projected along the curves of those that did.

Trainings of one task pass through the same metrics, some faster than others: a training that took ``e`` examples to a
metric that another one passed after ``f`` of its ``F`` examples to the target is projected to take ``e F / f``. Their
mean is the projection, nearer batch sizes weighing more; it is as uncertain as they disagree, and more so far away and
where one began with what the other took until its first evaluation.
Curves of the same task as a guide: Chandrashekaran, Lane (2017), Speeding up hyper-parameter optimization by
extrapolation of learning curves using previous builds, ECML PKDD.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from largebatch.spaces.passage_interval import PassageInterval
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

Array = NDArray[np.float64]

SPREAD, SPREAD_PER_LOG = 0.05, 0.35
"""Standard deviation of the projection's logarithm: at the target itself, and for each factor of e still to go."""
NEARBY = math.log(4)
"""Curves of batch sizes apart by this factor weigh 1/e as much as those of the same."""


NUM_REFERENCES = 16
"""Curves that a projection goes along: those of the nearest batch sizes."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Normal in log: the examples to the target."""

    log_examples: float
    spread: float


@dataclass(frozen=True, slots=True)
class Passage:
    """The curve of a trial that reached the target: the best metric so far (smaller is better) at examples."""

    number: int
    log_batch: float
    examples_to_target: float
    spread: float
    """Standard deviation of their logarithm where the target was met before the first evaluation, else 0."""
    examples: Array
    best: Array

    def at(self, value: float) -> tuple[float, float] | None:
        """Examples at which the best metric first was ``value``, and how uncertain their logarithm is.

        None where it began with it.
        """
        after = int(np.argmax(self.best <= value)) if self.best[-1] <= value else len(self.best) - 1
        if after == 0:
            return None
        fallen = self.best[after - 1] - self.best[after]
        share = min(max((self.best[after - 1] - value) / fallen, 0.0), 1.0) if 0 < fallen < math.inf else 1.0
        first, last = self.examples[after - 1], self.examples[after]
        middle, batch = max(float(first + share * (last - first)), 1.0), math.exp(self.log_batch)
        return middle, PassageInterval(first / batch, middle / batch, last / batch).bound_spread


def passages(trials: Sequence[Trial], target: Target) -> list[Passage]:
    """The curves of those of ``trials`` that reached the target."""
    found = []
    for trial in trials:
        if trial.examples_to_target is not None and trial.passage is not None and trial.intermediate:
            examples, best = _running_best(trial.intermediate, target)
            spread = trial.passage.bound_spread
            found.append(Passage(trial.number, _log_batch(trial), trial.examples_to_target, spread, examples, best))
    return found


def project(trial: Trial, references: Sequence[Passage], target: Target) -> Projection | None:
    """The projection of a trial along the curves of others.

    None where there are none, or the trial is no better than they were at their start.
    """
    examples, best = _running_best(trial.intermediate, target)
    if not len(examples) or examples[-1] <= 0 or not math.isfinite(best[-1]):
        return None
    here = _log_batch(trial)
    others = [passage for passage in references if passage.number != trial.number]
    others = sorted(others, key=lambda passage: abs(passage.log_batch - here))[:NUM_REFERENCES]
    passed = [(passage, passage.at(float(best[-1]))) for passage in others]
    logs = [math.log(max(one.examples_to_target / at[0], 1.0)) for one, at in passed if at is not None]
    unseen = [math.hypot(one.spread, at[1]) for one, at in passed if at is not None]
    weights = [math.exp(-abs(one.log_batch - here) / NEARBY) for one, at in passed if at is not None]
    if not logs:
        return None
    share = np.array(weights) / np.sum(weights)
    to_go = float(share @ np.array(logs))
    apart = math.sqrt(float(share @ (np.array(logs) - to_go) ** 2))
    spread = math.hypot(apart, SPREAD + SPREAD_PER_LOG * to_go, float(share @ np.array(unseen)))
    return Projection(log_examples=math.log(examples[-1]) + to_go, spread=spread)


def _log_batch(trial: Trial) -> float:
    return math.log(trial.recipe.global_batch_size)


def _running_best(intermediate: Mapping[int, float], target: Target) -> tuple[Array, Array]:
    """Examples and the best metric so far, smaller is better."""
    examples = sorted(intermediate)
    values = np.array([target.sign * intermediate[at] for at in examples])
    return np.array(examples, dtype=float), np.minimum.accumulate(np.where(np.isfinite(values), values, np.inf))
