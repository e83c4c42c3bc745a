"""The best learning rate and its steps to target at each batch size, from all trials at once.

Notation: B batch size; x = log(effective learning rate); y = log(steps to target); s_B, x_B the floor of the valley
at B and where it lies; k its curvature, the same at every B; K batch sizes, T trials.

Model: y = s_B + k (x - x_B)^2 + noise, a local expansion round the best rate. It is linear in k, -2 k x_B and
s_B + k x_B^2, so that each step of the fit is a least-squares problem. Trials that did not reach the target are
censored from below (Tobin 1958, Econometrica 26:24), imputed by expectation-maximisation; so are those that took more
than ``WINDOW`` times the few best at their batch size, where the expansion does not hold. Each x_B is drawn to the
trend of the others by a prior of width ``TREND_WIDTH``, which matters only where trials are few.
Known limit: next to a cliff, where rates a little above the best never reach the target, the true valley is lopsided
and the fitted floor lies above it, by a quarter on the noisy quadratic model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import log_ndtr

from largebatch.search.laws.law import INTERVAL, Array
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Trial

WINDOW = 2.0
TREND_WIDTH = 0.7
MIN_CURVATURE, MAX_CURVATURE = 0.05, 5.0
MIN_NOISE, MAX_NOISE = 0.02, 1.0
MAX_EXCESS = 1.5
"""How far above its bound, in log, a censored trial is imputed at most: beyond that it would steer the fit."""
ITERATIONS = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptimum:
    """What was learned at one batch size; ``_low`` and ``_high`` bound 90 % intervals.

    Where no trial reached the target, ``steps`` is the largest number of steps that were trained, a lower bound, and
    ``steps_high`` is infinite. ``edge`` names the end of the tried rates at which the optimum lies: then the true
    optimum may lie beyond.
    """

    global_batch_size: int
    steps: float
    steps_low: float
    steps_high: float
    learning_rate: float
    learning_rate_low: float
    learning_rate_high: float
    edge: Literal["low", "high"] | None
    num_trials: int
    num_reached: int
    best_trial: int | None

    @property
    def reached(self) -> bool:
        """Whether any trial reached the target."""
        return self.num_reached > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Valley:
    """The fit and its bootstrap: ``steps_DK`` and ``rates_DK`` hold a row a draw, a column a batch size (NaN: none)."""

    optima: tuple[BatchOptimum, ...]
    steps_DK: Array
    rates_DK: Array
    noise: float
    """Standard deviation of log(steps) of repeated trainings."""
    optimizer: str
    """With what adapts, where something does."""
    damping: float
    """1 - momentum at which effective rates are told as learning rates; 1 for an optimizer without."""


def fit_valley(trials: Sequence[Trial], *, num_draws: int, rng: np.random.Generator) -> Valley:
    """Fit the trials of the best kind of recipe (fewest steps at most batch sizes), and bootstrap over trials."""
    optimizer = _best_kind(trials)
    kept = [trial for trial in trials if _kind(trial.recipe) == optimizer and trial.ending is not None]
    sizes = sorted({trial.recipe.global_batch_size for trial in kept})
    group_T = np.array([sizes.index(trial.recipe.global_batch_size) for trial in kept])
    x_T = np.array([math.log(trial.recipe.effective_learning_rate) for trial in kept])
    y_T, censored_T = _responses(kept, group_T, len(sizes))
    floor_K, place_K, noise = _fit(x_T, y_T, censored_T, group_T, len(sizes))
    floors, places = [], []
    for _ in range(num_draws):
        # Resample within batch sizes; a parametric jitter keeps a batch size with one trial from looking certain.
        pick = np.concatenate(
            [rng.choice(np.flatnonzero(group_T == g), (group_T == g).sum()) for g in range(len(sizes))]
        )
        if censored_T[pick].all():  # of few trials: such a draw would have no valley
            pick = np.arange(len(kept))
        jitter_T = np.where(censored_T[pick], 0.0, rng.normal(0, noise, len(pick)) / math.sqrt(2))
        floor, place, _ = _fit(x_T[pick], y_T[pick] + jitter_T, censored_T[pick], group_T[pick], len(sizes))
        floors.append(floor)
        places.append(place)
    steps_DK, x_DK = np.exp(np.array(floors)), np.array(places)
    damping = 1 - _typical_momentum(kept) if kept[0].recipe.has_momentum else 1.0
    optima = tuple(
        _optimum(size, [t for t in kept if t.recipe.global_batch_size == size], math.exp(floor_K[k]), steps_DK[:, k],
                 place_K[k], x_DK[:, k], damping)
        for k, size in enumerate(sizes)
    )  # fmt: skip
    return Valley(
        optima=optima,
        steps_DK=steps_DK,
        rates_DK=np.exp(x_DK) * damping,
        noise=noise,
        optimizer=optimizer,
        damping=damping,
    )


def _fit(
    x_T: Array, y_T: Array, censored_T: np.ndarray, group_T: np.ndarray, num_groups: int
) -> tuple[Array, Array, float]:
    """Floors s_B, places x_B (NaN where nothing reached the target) and the noise."""
    reached = ~censored_T
    measured = [g for g in range(num_groups) if (reached & (group_T == g)).any()]
    use = np.isin(group_T, measured)
    x, y, censored, group = x_T[use], y_T[use], censored_T[use], group_T[use]
    columns = np.stack([group == g for g in measured], axis=1).astype(float)
    mean = np.array([np.average(x[(group == g) & ~censored]) for g in measured])
    k, noise, places, guess = 0.3, 0.2, mean, y.copy()
    spread = np.log(np.arange(1, len(measured) + 1))
    for _ in range(ITERATIONS):
        trend = (
            np.polyval(np.polyfit(spread, places, 1), spread)
            if len(measured) > 2
            else np.full(len(places), places.mean())
        )
        design = np.hstack([x[:, None] ** 2, columns * x[:, None], columns])
        weight = noise / (2 * k * TREND_WIDTH)  # the prior on x_B, as observations of -2 k x_B
        prior = np.hstack(
            [np.zeros((len(measured), 1)), np.eye(len(measured)) * weight, np.zeros((len(measured),) * 2)]
        )
        prior_k = np.zeros((1, design.shape[1]))
        prior_k[0, 0] = noise / 0.5
        rows = np.vstack([design, prior, prior_k])
        values = np.concatenate([guess, -2 * k * trend * weight, [0.5 * prior_k[0, 0]]])
        solution = np.linalg.lstsq(rows, values, rcond=None)[0]
        k_new = float(np.clip(solution[0], MIN_CURVATURE, MAX_CURVATURE))
        if k_new != solution[0]:
            fixed_k = values - rows[:, 0] * k_new
            solution[1:] = np.linalg.lstsq(rows[:, 1:], fixed_k, rcond=None)[0]
        k, slope, constant = k_new, solution[1 : 1 + len(measured)], solution[1 + len(measured) :]
        places = -slope / (2 * k)
        predicted = k * x**2 + columns @ constant + (columns @ slope) * x
        freedom = max(1.0, (~censored).sum() - len(measured) - 2)
        rms = math.sqrt(float(np.sum((y - predicted)[~censored] ** 2)) / freedom)
        noise = min(max(rms, MIN_NOISE), MAX_NOISE)
        guess = np.where(censored, np.minimum(_above(predicted, y, noise), y + MAX_EXCESS), y)
    floor_K, place_K = np.full(num_groups, np.nan), np.full(num_groups, np.nan)
    for index, g in enumerate(measured):
        here = x_T[group_T == g]
        place_K[g] = np.clip(places[index], here.min(), here.max())
        floor = constant[index] + slope[index] * place_K[g] + k * place_K[g] ** 2
        best = y_T[(group_T == g) & ~censored_T].min()  # a floor lies near the best that was seen
        floor_K[g] = np.clip(floor, best - 2 * noise, best + 3 * noise)
    return floor_K, place_K, noise


def _above(mean: Array, bound: Array, noise: float) -> Array:
    """The expectation of a normal variable above ``bound``."""
    z = (bound - mean) / noise
    return np.asarray(mean + noise * np.exp(-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - log_ndtr(-z)))


def _responses(trials: Sequence[Trial], group_T: np.ndarray, num_groups: int) -> tuple[Array, np.ndarray]:
    """log(steps to target), and which of them are lower bounds only."""
    reached: list[list[float]] = [[] for _ in range(num_groups)]
    for trial, group in zip(trials, group_T, strict=True):
        if trial.steps_to_target is not None:
            reached[group].append(trial.steps_to_target)
    # The median of the three fewest, for the fewest alone may be luck.
    limits = [WINDOW * float(np.median(sorted(steps)[:3])) if steps else math.inf for steps in reached]
    y, censored = [], []
    for trial, group in zip(trials, group_T, strict=True):
        assert trial.ending is not None
        steps, limit = trial.steps_to_target, limits[group]
        censored.append(steps is None or steps > limit)
        y.append(math.log(min(max(trial.ending.step, 1) if steps is None else steps, limit)))
    return np.array(y), np.array(censored)


def _kind(recipe: Recipe) -> str:
    """What a valley holds for: an optimizer, and whether rate or batch adapt, for then rates mean another thing."""
    return recipe.optimizer if recipe.adaptive == "none" else f"{recipe.optimizer}, {recipe.adaptive}"


def _best_kind(trials: Sequence[Trial]) -> str:
    fewest: dict[int, tuple[float, str]] = {}
    for trial in trials:
        if trial.steps_to_target is not None:
            size = trial.recipe.global_batch_size
            fewest[size] = min(fewest.get(size, (math.inf, "")), (trial.steps_to_target, _kind(trial.recipe)))
    winners = [name for _, name in fewest.values()]
    return max(sorted(set(winners)), key=winners.count)


def _typical_momentum(trials: Sequence[Trial]) -> float:
    return float(np.median([trial.recipe.momentum for trial in trials if trial.reached]))


def _optimum(
    size: int, trials: Sequence[Trial], steps: float, steps_D: Array, place: float, place_D: Array, damping: float
) -> BatchOptimum:
    reached = [trial for trial in trials if trial.reached]
    best = min(reached, key=lambda trial: trial.steps_to_target or math.inf, default=None)
    tried = [math.log(trial.recipe.effective_learning_rate) for trial in trials]
    if best is None:
        bound = float(max((trial.ending.step for trial in trials if trial.ending is not None), default=0))
        middle = damping * math.exp(float(np.median(tried)))
        return BatchOptimum(
            global_batch_size=size, steps=bound, steps_low=bound, steps_high=math.inf, learning_rate=middle,
            learning_rate_low=damping * math.exp(min(tried)), learning_rate_high=damping * math.exp(max(tried)),
            edge=None, num_trials=len(trials), num_reached=0, best_trial=None,
        )  # fmt: skip
    low, high = np.nanquantile(steps_D, INTERVAL)
    rate_low, rate_high = damping * np.exp(np.nanquantile(place_D, INTERVAL))
    rate = damping * math.exp(place)
    edge: Literal["low", "high"] | None = None
    if len(set(tried)) > 1 and min(abs(place - min(tried)), abs(place - max(tried))) < 1e-9:
        edge = "low" if abs(place - min(tried)) < 1e-9 else "high"
    return BatchOptimum(
        global_batch_size=size, steps=steps, steps_low=min(float(low), steps), steps_high=max(float(high), steps),
        learning_rate=rate,
        learning_rate_low=min(float(rate_low), rate), learning_rate_high=max(float(rate_high), rate),
        edge=edge, num_trials=len(trials), num_reached=len(reached), best_trial=best.number,
    )  # fmt: skip
