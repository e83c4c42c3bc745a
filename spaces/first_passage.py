"""When will a training that has not reached its target reach it? Projected along the curves of those that did.

Trainings of one task pass through the same metrics, some faster than others: a training that took ``e`` examples to a
metric that another one passed after ``f`` of its ``F`` examples to the target is projected to take ``e F / f``. The
median over the others is the projection; it is as uncertain as they disagree, and the more the farther the target is.
Curves of the same task as a guide: Chandrashekaran, Lane (2017), Speeding up hyper-parameter optimization by
extrapolation of learning curves using previous builds, ECML PKDD.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

SPREAD, SPREAD_PER_LOG = 0.05, 0.35
"""Standard deviation of the projection's logarithm: at the target itself, and for each factor of e still to go."""
NEARBY = math.log(4)
"""Curves of batch sizes apart by this factor weigh 1/e as much as those of the same."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Normal in log: the examples to the target."""

    log_examples: float
    spread: float


def project(trial: Trial, reached: Sequence[Trial], target: Target) -> Projection | None:
    """The projection of a trial along the curves of trials that reached the target.

    None where there are none, or the trial is no better than they were at their start.
    """
    examples, best = _running_best(trial.intermediate, target)
    if not len(examples) or examples[-1] <= 0 or not math.isfinite(best[-1]):
        return None
    logs, weights = [], []
    for other in reached:
        passed = _passed_at(best[-1], other, target)
        if other.number == trial.number or passed is None or other.examples_to_target is None:
            continue
        logs.append(math.log(max(other.examples_to_target / passed, 1.0)))
        weights.append(math.exp(-abs(_log_batch(other) - _log_batch(trial)) / NEARBY))
    if not logs:
        return None
    share = np.array(weights) / np.sum(weights)
    to_go = float(share @ np.array(logs))
    apart = math.sqrt(float(share @ (np.array(logs) - to_go) ** 2))
    spread = math.hypot(apart, SPREAD + SPREAD_PER_LOG * to_go)
    return Projection(log_examples=math.log(examples[-1]) + to_go, spread=spread)


def _log_batch(trial: Trial) -> float:
    return math.log(trial.recipe.global_batch_size)


def _running_best(intermediate: Mapping[int, float], target: Target) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Examples and the best metric so far, smaller is better."""
    examples = np.array(sorted(intermediate), dtype=float)
    values = np.array([target.sign * intermediate[int(at)] for at in examples])
    return examples, np.minimum.accumulate(np.where(np.isfinite(values), values, np.inf))


def _passed_at(value: float, trial: Trial, target: Target) -> float | None:
    """Examples at which a trial's best metric first was ``value``; None where it began with it."""
    examples, best = _running_best(trial.intermediate, target)
    after = int(np.argmax(best <= value)) if (best <= value).any() else len(best) - 1
    if after == 0:
        return None
    fallen = best[after - 1] - best[after]
    share = min(max((best[after - 1] - value) / fallen, 0.0), 1.0) if 0 < fallen < math.inf else 1.0
    return max(float(examples[after - 1] + share * (examples[after] - examples[after - 1])), 1.0)
