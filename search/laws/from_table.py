"""The laws on numbers of the user's own: repeats of trainings, and times at worker counts, without a study.

Notation: R rows, K batch sizes, D draws. Times of which the steps are not known in absolute numbers (epochs of an
unknown number of examples) are fitted as if the first step took ``TYPICAL_STEP_SECONDS``.
"""

import math
from dataclasses import dataclass

import numpy as np

from largebatch.search.laws.batch_size.points import AT_LEAST, AT_MOST, VALUE, Points
from largebatch.search.laws.batch_size.steps_law import Unit
from largebatch.search.laws.law import Array
from largebatch.search.laws.smc import NUM_DRAWS
from largebatch.search.laws.step_time.timings import Timings
from largebatch.spaces.errors import UserError

TYPICAL_NOISE, NOISE_WEIGHT = 0.1, 2.0
"""Scatter of single trainings, in log, that is assumed before any repeat was seen; worth so many repeats."""
TYPICAL_STEP_SECONDS = 0.1
TIME_WIDTH = 0.03
"""Standard deviation of a given time's logarithm."""
TYPICAL_GRADIENT_BYTES = 50e6
MIXED_UNITS = 50.0
"""Repeats at one batch size that differ by more than this factor cannot be of one unit."""
MIN_RATES = 3
"""Different learning rates at a batch size from which its best is sought, rather than repeats averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """Where rows met their target: the steps, or where ``early_R`` (before the first evaluation) an upper bound."""

    steps_R: Array
    early_R: np.ndarray
    spread_R: Array
    """Standard deviation of the steps' logarithm between the evaluations on both sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainings:
    """Rows of trainings to the target. ``amount_R`` are steps or examples; where ``reached_R`` is False, at least."""

    batch_R: Array
    amount_R: Array
    reached_R: np.ndarray
    rate_R: Array | None = None
    passages: Passages | None = None
    """None: the amounts are exact."""


def pool(trainings: Trainings, unit: Unit) -> tuple[Points, Points | None]:
    """Points of the laws of steps and, where rates were varied, of the best learning rate.

    Raises:
        UserError: if no training reached the target, or repeats differ as if units were mixed.
    """
    sizes = np.unique(trainings.batch_R)
    group_R = np.searchsorted(sizes, trainings.batch_R)
    steps_R = trainings.amount_R / (trainings.batch_R if unit == "examples" else 1.0)
    if not trainings.reached_R.any():
        raise UserError(
            f"none of {len(steps_R)} trainings reached the target, all are censored; only that it takes more than was "
            "trained can be said"
        )
    exact = Passages(steps_R=steps_R, early_R=np.zeros(len(steps_R), dtype=bool), spread_R=np.zeros(len(steps_R)))
    passages = trainings.passages or exact
    known_R = trainings.reached_R & ~passages.early_R
    late = np.setdiff1d(group_R[known_R], group_R[trainings.reached_R & passages.early_R])
    if trainings.rate_R is not None and rates_vary(trainings.rate_R, group_R) and len(late):
        return _best_of_rates(sizes, group_R, trainings.reached_R, trainings.rate_R, passages)
    for size, group in ((size, passages.steps_R[(group_R == g) & known_R]) for g, size in enumerate(sizes)):
        if len(group) > 1 and group.max() > MIXED_UNITS * group.min():
            raise UserError(
                f"at global_batch_size {size:.0f} the {unit} to target differ by a factor of "
                f"{group.max() / group.min():.0f}; are units or targets mixed? Tell them apart by a column `group`"
            )
    return _mean_of_repeats(sizes, group_R, trainings.reached_R, passages), None


def rates_vary(rate_R: Array, group_R: np.ndarray) -> bool:
    """Whether some batch size (``group_R``) has as many rates as its best needs to be sought."""
    return any(len(np.unique(rate_R[group_R == group])) >= MIN_RATES for group in np.unique(group_R))


def _mean_of_repeats(sizes: Array, group_R: np.ndarray, reached_R: np.ndarray, passages: Passages) -> Points:
    """Mean logarithms; their noise is pooled over batch sizes and shrinks each size's own towards it.

    How far passages are off that lie between evaluations, repeats share: it is no less for many of them.
    """
    steps_R, known_R = passages.steps_R, reached_R & ~passages.early_R
    logs = [np.log(steps_R[(group_R == g) & known_R]) for g in range(len(sizes))]
    freedom = sum(max(len(values) - 1, 0) for values in logs)
    square = sum(float(np.sum((values - values.mean()) ** 2)) for values in logs if len(values))
    pooled = (square + NOISE_WEIGHT * TYPICAL_NOISE**2) / (freedom + NOISE_WEIGHT)
    log_K, width_K, side_K = np.zeros(len(sizes)), np.zeros(len(sizes)), np.zeros(len(sizes), dtype=int)
    early_K, passage_K = np.zeros(len(sizes), dtype=bool), np.zeros(len(sizes))
    for g, values in enumerate(logs):
        early = np.log(np.maximum(steps_R[(group_R == g) & reached_R & passages.early_R], 1.0))
        if len(early):
            log_K[g], width_K[g], side_K[g], early_K[g] = early.min(), math.sqrt(pooled), AT_MOST, True
            continue
        missed = np.log(steps_R[(group_R == g) & ~reached_R])
        if not len(values):
            log_K[g], width_K[g], side_K[g] = missed.max(), math.sqrt(pooled), AT_LEAST
            continue
        own = float(np.sum((values - values.mean()) ** 2)) + NOISE_WEIGHT * 2 * pooled
        noise = math.sqrt(own / (len(values) - 1 + NOISE_WEIGHT * 2))
        # Censored repeats lie above their bound: imputed at their expectation until it settles (Tobin 1958).
        mean = float(values.mean())
        for _ in range(20 if len(missed) else 0):
            mean = float(np.concatenate([values, np.maximum(missed, mean) + 0.8 * noise]).mean())
        passage_K[g] = float(np.mean(passages.spread_R[(group_R == g) & known_R]))
        log_K[g], width_K[g], side_K[g] = mean, math.hypot(noise / math.sqrt(len(values)), passage_K[g]), VALUE
    return Points(
        batch_K=sizes, log_K=log_K, width_K=width_K, side_K=side_K, noise=math.sqrt(pooled) if freedom else 0.0,
        passage_K=passage_K, early_K=early_K,
    )  # fmt: skip


def _best_of_rates(
    sizes: Array, group_R: np.ndarray, reached_R: np.ndarray, rate_R: Array, passages: Passages
) -> tuple[Points, Points]:
    # Imported here: scipy's optimizers take a good part of a second, and most tables have one rate a batch size.
    from largebatch.search.laws.batch_size.optima import valley_points
    from largebatch.search.laws.batch_size.valley import fit_valley

    steps_R = passages.steps_R
    valley = fit_valley(
        np.log(rate_R), steps_R, reached_R, group_R, np.log(sizes), num_draws=NUM_DRAWS, rng=np.random.default_rng(0),
        early_T=passages.early_R, spread_T=passages.spread_R,
    )  # fmt: skip
    bounds = np.array([steps_R[group_R == g].max() for g in range(len(sizes))])
    return valley_points(valley, sizes, bounds)


def time_steps(workers_R: Array, batch_R: Array, step_seconds_R: Array, num_bytes: float) -> Timings:
    """Given step times as timings; repeats at one place are one timing of their median, with their spread."""
    places = sorted(set(zip(workers_R.tolist(), batch_R.tolist(), strict=True)))
    logs = [np.log(step_seconds_R[(workers_R == n) & (batch_R == b)]) for n, b in places]
    nothing = np.zeros(0)
    return Timings(
        num_workers_M=np.array([n for n, _ in places]),
        local_batch_M=np.array([b / n for n, b in places]),
        log_seconds_M=np.array([float(np.median(values)) for values in logs]),
        width_M=np.array([max(TIME_WIDTH, float(values.std() / math.sqrt(len(values)))) for values in logs]),
        sum_workers_R=nothing, sum_bytes_R=nothing, log_sum_seconds_R=nothing, sum_width_R=nothing,
        per_node_M=np.full(len(places), math.nan), sum_per_node_R=nothing,
        num_bytes=num_bytes,
    )  # fmt: skip
