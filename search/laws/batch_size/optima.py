"""The best of each batch size, from trials: what the laws of steps and of the learning rate are fitted to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from largebatch.search.laws.batch_size.points import AT_LEAST, AT_MOST, EVALUATE_MORE, VALUE, Points
from largebatch.search.laws.batch_size.valley import WINDOW, Valley, fit_valley
from largebatch.search.laws.law import Array, quantile_interval
from largebatch.search.plan.finalists import winner
from largebatch.spaces.errors import UserError
from largebatch.spaces.passage_interval import PassageInterval
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Outcome, Trial

MIN_RATE_WIDTH = 0.05
"""The least standard deviation, in log, of a best rate."""
BOUND_WIDTH = 0.1
"""Width, in log, of the bound at a batch size where no trial reached the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptimum:
    """What was learned at one batch size; ``_low`` and ``_high`` bound 90 % intervals.

    Where no trial reached the target, ``steps`` is the largest number of steps that were trained, a lower bound, and
    ``steps_high`` is infinite. Where the best met it before the first evaluation, ``steps`` and ``steps_high`` are an
    upper bound and ``is_bound`` is True. ``edge`` names the end of the tried rates at which the optimum lies: then the
    true optimum may lie beyond, with fewer steps. Between ``tolerated_low`` and ``tolerated_high`` a learning rate
    costs less than 10 % more steps.
    """

    global_batch_size: int
    steps: float
    steps_low: float
    steps_high: float
    learning_rate: float
    learning_rate_low: float
    learning_rate_high: float
    tolerated_low: float
    tolerated_high: float
    edge: Literal["low", "high"] | None
    num_trials: int
    num_reached: int
    best_trial: int | None
    is_bound: bool = False

    @property
    def reached(self) -> bool:
        """Whether any trial reached the target."""
        return self.num_reached > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Optima:
    """The optima of the best kind of recipe, its trials, and the points of both laws."""

    optima: tuple[BatchOptimum, ...]
    valley: Valley
    trials: tuple[Trial, ...]
    kind: str
    """The optimizer, with what adapts where something does."""
    damping: float
    """1 - momentum at which effective rates are told as learning rates; 1 for an optimizer without."""
    steps: Points
    rates: Points

    def residuals(self) -> tuple[np.ndarray, Array]:
        """Which trials reached the target near the valley, and what it leaves of their log(steps)."""
        sizes = [optimum.global_batch_size for optimum in self.optima]
        group_T = np.array([sizes.index(trial.recipe.global_batch_size) for trial in self.trials])
        x_T = np.array([math.log(trial.recipe.effective_learning_rate) for trial in self.trials])
        y_T = np.log([trial.steps_to_target or 1.0 for trial in self.trials])
        residual_T = y_T - self.valley.predict(x_T, group_T)
        seen_T = np.array([trial.reached and not _is_early(trial) for trial in self.trials])
        known_T = seen_T & (np.abs(residual_T) < math.log(WINDOW))
        return known_T, residual_T


def find_optima(trials: Sequence[Trial], *, num_draws: int, rng: np.random.Generator) -> Optima:
    """Fit the valley of the kind of recipe that takes the fewest steps at most batch sizes.

    At least one of ``trials`` must have reached the target.

    Raises:
        UserError: if at each batch size some that did had not been evaluated before.
    """
    kind = _best_kind(trials)
    kept = tuple(trial for trial in trials if _kind(trial.recipe) == kind and trial.ending is not None)
    sizes = sorted({trial.recipe.global_batch_size for trial in kept})
    passages = [trial.passage for trial in kept]
    early = {
        trial.recipe.global_batch_size
        for trial, passage in zip(kept, passages, strict=True)
        if passage is not None and passage.is_bound
    }
    if not {trial.recipe.global_batch_size for trial in kept if trial.reached} - early:
        raise UserError(_all_early(kept))
    valley = fit_valley(
        np.array([math.log(trial.recipe.effective_learning_rate) for trial in kept]),
        np.array([_steps(trial, passage) for trial, passage in zip(kept, passages, strict=True)]),
        np.array([trial.reached for trial in kept]),
        np.array([sizes.index(trial.recipe.global_batch_size) for trial in kept]),
        np.log(np.array(sizes, dtype=float)),
        num_draws=num_draws,
        rng=rng,
        early_T=np.array([passage is not None and passage.is_bound for passage in passages]),
        spread_T=np.array([0.0 if passage is None else passage.log_spread for passage in passages]),
    )
    damping = 1 - _typical_momentum(kept) if kept[0].recipe.has_momentum else 1.0
    groups = [[trial for trial in kept if trial.recipe.global_batch_size == size] for size in sizes]
    optima = tuple(
        _optimum(size, group, valley, g, damping) for g, (size, group) in enumerate(zip(sizes, groups, strict=True))
    )
    bounds = np.array([optimum.steps for optimum in optima])
    steps, rates = valley_points(valley, np.array(sizes, dtype=float), bounds, damping)
    return Optima(
        optima=optima, valley=valley, trials=kept, kind=kind, damping=damping, steps=steps, rates=rates
    )  # fmt: skip


def _steps(trial: Trial, passage: PassageInterval | None) -> float:
    """Steps to the target or an upper bound; where it was not reached, a lower one: infinite where it never can be."""
    assert trial.ending is not None
    if passage is not None:
        return passage.high if passage.is_bound else passage.middle
    return math.inf if trial.ending.outcome is Outcome.DIVERGED else float(max(trial.ending.step, 1))


def _is_early(trial: Trial) -> bool:
    """Whether it met the target before its first evaluation."""
    return trial.passage is not None and trial.passage.is_bound


def _all_early(trials: Sequence[Trial]) -> str:
    bounds: dict[int, float] = {}
    for trial in trials:
        if trial.passage is not None and trial.passage.is_bound:
            size = trial.recipe.global_batch_size
            bounds[size] = min(bounds.get(size, math.inf), trial.passage.high)
    told = ", ".join(f"{steps:.0f} at batch size {size}" for size, steps in sorted(bounds.items())[:4])
    return (
        "no law: the target was met before the first evaluation at every batch size, so only upper bounds of its steps "
        f"are known ({told}); {EVALUATE_MORE}"
    )


def valley_points(valley: Valley, sizes_G: Array, bound_G: Array, damping: float = 1.0) -> tuple[Points, Points]:
    """Points of the laws of steps and of the best rate. ``bound_G``: steps trained where none reached the target."""
    known, early = np.isfinite(valley.floor_G), np.isfinite(valley.bound_G)
    spread_G = np.std(np.where(np.isfinite(valley.floor_DG), valley.floor_DG, 0.0), axis=0)
    steps = Points(
        batch_K=sizes_G,
        log_K=np.where(known & ~early, valley.floor_G, np.log(np.where(early, valley.bound_G, np.maximum(bound_G, 1)))),
        width_K=np.where(known & ~early, np.maximum(spread_G, 0.01), BOUND_WIDTH),
        side_K=np.where(early, AT_MOST, np.where(known, np.where(valley.edge_G == 0, VALUE, AT_MOST), AT_LEAST)),
        noise=valley.noise,
        passage_K=np.where(known & ~early, valley.passage_G, 0.0),
        early_K=early,
    )
    rates = Points(
        batch_K=sizes_G[known],
        log_K=valley.place_G[known] + math.log(damping),
        width_K=np.hypot(np.std(valley.place_DG[:, known], axis=0), MIN_RATE_WIDTH),
        side_K=np.where(valley.edge_G[known] > 0, AT_LEAST, np.where(valley.edge_G[known] < 0, AT_MOST, VALUE)),
    )
    return steps, rates


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


def _optimum(size: int, trials: Sequence[Trial], valley: Valley, group: int, damping: float) -> BatchOptimum:
    reached = [trial for trial in trials if trial.reached]
    best = winner(trials)
    tried = [math.log(trial.recipe.effective_learning_rate) for trial in trials]
    if best is None:
        bound = float(max((trial.ending.step for trial in trials if trial.ending is not None), default=0))
        low, middle, high = (damping * math.exp(f(tried)) for f in (min, lambda x: float(np.median(x)), max))
        return BatchOptimum(
            global_batch_size=size, steps=bound, steps_low=bound, steps_high=math.inf, learning_rate=middle,
            learning_rate_low=low, learning_rate_high=high, tolerated_low=low, tolerated_high=high,
            edge=None, num_trials=len(trials), num_reached=0, best_trial=None,
        )  # fmt: skip
    if math.isfinite(bound := float(valley.bound_G[group])):
        early = [math.log(trial.recipe.effective_learning_rate) for trial in trials if _is_early(trial)]
        low, high = damping * math.exp(min(early)), damping * math.exp(max(early))
        return BatchOptimum(
            global_batch_size=size, steps=bound, steps_low=min(1.0, bound), steps_high=bound,
            learning_rate=damping * math.exp(float(np.median(early))), learning_rate_low=low, learning_rate_high=high,
            tolerated_low=low, tolerated_high=high, edge=None, num_trials=len(trials), num_reached=len(reached),
            best_trial=best.number, is_bound=True,
        )  # fmt: skip
    steps, place = math.exp(valley.floor_G[group]), float(valley.place_G[group])
    rate = damping * math.exp(place)
    low, high = quantile_interval(np.exp(valley.floor_DG[:, group]))
    rate_low, rate_high = quantile_interval(damping * np.exp(valley.place_DG[:, group]))
    below, above = valley.width(group)
    edges: tuple[Literal["low", "high"] | None, ...] = (None, "high", "low")
    return BatchOptimum(
        global_batch_size=size, steps=steps, steps_low=min(low, steps), steps_high=max(high, steps),
        learning_rate=rate, learning_rate_low=min(rate_low, rate), learning_rate_high=max(rate_high, rate),
        tolerated_low=rate * below, tolerated_high=rate * above,
        edge=edges[valley.edge_G[group]], num_trials=len(trials), num_reached=len(reached), best_trial=best.number,
    )  # fmt: skip


def noise_scale_near(optima: Sequence[BatchOptimum], scales: Mapping[int, float]) -> float | None:
    """The median gradient noise scale (examples) that the best trials measured, given by trial number."""
    found = [scales[o.best_trial] for o in optima if o.best_trial is not None and o.best_trial in scales]
    return float(np.median(found)) if found else None
