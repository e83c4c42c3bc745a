"""``guided``: learns the laws while it searches, and tries what improves the plan most for its cost.

At each ask: fit the surrogate (``surrogate.py``: steps to target over batch size and rate, as the laws have them) to
all trials of each optimizer, weigh candidates at every batch size by the expected improvement of the plan at all worker
counts a second of training (``acquisition.py``), propose the best. What one batch size teaches thus moves all others; a
batch size that cannot be the best at any worker count has no gain and is not tuned; a rate on the edge of its range
moves the range. The other hyper-parameters are learned as departures from the law (``residual_gp.py``).
Reference: expected improvement a second, Snoek et al. (2012), arXiv 1206.2944, section 3.2; the laws: ``laws/``.

Notation: D draws, C candidates, T trials, G batch sizes, W worker counts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from largebatch.search.searcher import Proposal
from largebatch.search.searchers.guided.acquisition import expected_gains
from largebatch.search.searchers.guided.candidates import (
    combinations,
    extras_of,
    kinds_of,
    middle_rate,
    middle_values,
    rate_bounds,
    recipes_at,
)
from largebatch.search.searchers.guided.observations import kind_of, see
from largebatch.search.searchers.guided.residual_gp import coordinates, fit_departures, mishaps
from largebatch.search.searchers.guided.scored_candidates import Weighed
from largebatch.search.searchers.guided.surrogate import (
    CRITICAL,
    LEVEL,
    NUM_DRAWS,
    POWER,
    Prior,
    Seen,
    Surrogate,
    first_prior,
    fit_surrogate,
)
from largebatch.spaces.domain import Value
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.step_seconds import StepSeconds
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

Array = NDArray[np.float64]
Kind = tuple[str, str]

MAX_TRIALS = 80
"""Trials that a surrogate is fitted to: those nearest to the best of their batch size."""
OTHER_LEVEL, OTHER_CRITICAL = 0.5, 0.7
"""How far another optimizer's steps and critical batch size may be from those of the one best known, in log."""
FEWEST_OF_LIMIT = 20
"""Before any trial: a middling batch size is thought to take this share of the examples that a trial may take."""
NOTHING_TO_GAIN = 0.002
"""A mean expected improvement of the plan's times below which the search is over."""
UNUSUAL, MAX_EXCESS = 1.0, 2.0
"""A training that takes longer than expected by more than this many standard deviations went wrong, by at most so
much in log."""
MAX_MISS = 1.0
"""Trials that miss the law by more than this, in log, tell nothing of the other hyper-parameters."""


@dataclass(frozen=True, slots=True)
class Guided:
    """See the module. ``max_examples`` is where a trial gives up."""

    target: Target
    seconds: StepSeconds
    max_examples: int

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal | None:
        """See ``Searcher``; None when no candidate would improve the plan by as much as ``NOTHING_TO_GAIN``."""
        if not any(trial.reached for trial in trials):
            return self._first(space, trials)
        weighed = self.weigh(space, trials, seed)
        if weighed.gains.mean.max() < NOTHING_TO_GAIN and not any(trial.running for trial in trials):
            return None
        best = weighed.gains.best
        return Proposal(weighed.recipes[best], weighed.why(best, self.seconds.workers))

    def weigh(self, space: Space, trials: Sequence[Trial], seed: int) -> Weighed:
        """All candidates and what is expected of them; at least one trial has reached the target."""
        rng = np.random.default_rng([seed, len(trials)])
        kinds = {_kind(space, values): values for values in kinds_of(space)}
        trials = [trial for trial in trials if kind_of(trial.recipe) in kinds]
        reached = [trial for trial in trials if trial.reached]
        running = [trial for trial in trials if trial.running]
        sizes = sorted({*space.batch_sizes, *(trial.recipe.global_batch_size for trial in trials)})
        told = {kind: self._told(kind, trials, reached, sizes) for kind in kinds}
        fits = self._fits(space, kinds, told, sizes, rng)
        recipes = self._candidates(space, kinds, fits, reached, sizes, rng)
        num_new = len(recipes)
        recipes += [trial.recipe for trial in (*reached, *running)]
        logs_DC = self._logs(space, recipes, fits, told, sizes, rng)
        by_size = {size: (self.seconds.log_seconds(size), self.seconds.alone(size)) for size in sizes}
        step_logs_CW = np.array([by_size[recipe.global_batch_size][0] for recipe in recipes])
        alone_C = np.array([by_size[recipe.global_batch_size][1] for recipe in recipes])
        most_C = np.array([self.max_examples / recipe.global_batch_size for recipe in recipes])
        steps_C = np.minimum(np.exp(logs_DC), most_C).mean(axis=0)
        known = np.arange(num_new, len(recipes))
        gains = expected_gains(
            logs_DC, step_logs_CW, known[: len(reached)], known[len(reached) :], np.maximum(steps_C, 1.0) * alone_C
        )
        gains.gain_CW[num_new:] = 0.0
        return Weighed(recipes, num_new, len(reached), logs_DC, step_logs_CW, gains, len(trials))

    def _first(self, space: Space, trials: Sequence[Trial]) -> Proposal:
        """Until a trial reaches the target: optimizers in turn, at a middle batch size."""
        kinds = {_kind(space, values): values for values in kinds_of(space)}
        counts = {kind: sum(kind == kind_of(trial.recipe) for trial in trials) for kind in kinds}
        kind = min(counts, key=lambda one: counts[one])
        same = [trial for trial in trials if kind_of(trial.recipe) == kind]
        size = space.batch_sizes[(len(space.batch_sizes) - 1) // 2]
        recipe = middle_rate(space, size, middle_values(space) | kinds[kind], same, POWER)
        after = f"; none of {len(trials)} trials has reached the target yet" if trials else ""
        return Proposal(recipe, f"the middle of the untried rates at a middle batch size{after}")

    def _told(
        self, kind: Kind, trials: Sequence[Trial], reached: Sequence[Trial], sizes: Sequence[int]
    ) -> tuple[list[Trial], Seen]:
        """The trials of a kind and what they say; of very many, those nearest to the best of their batch size."""
        kept = [trial for trial in trials if kind_of(trial.recipe) == kind and trial.intermediate]
        seen = see(kept, reached, sizes, self.target, self.max_examples)
        if len(kept) <= MAX_TRIALS:
            return kept, seen
        best = {group: float(seen.y_T[seen.group_T == group].min()) for group in set(seen.group_T.tolist())}
        excess_T = seen.y_T - np.array([best[group] for group in seen.group_T.tolist()])
        keep = np.sort(np.argsort(excess_T, kind="stable")[:MAX_TRIALS])
        return [kept[t] for t in keep], seen.of(keep)

    def _fits(
        self, space: Space, kinds: Mapping[Kind, dict[str, Value]], told: Mapping[Kind, tuple[list[Trial], Seen]],
        sizes: Sequence[int], rng: np.random.Generator,
    ) -> dict[Kind, Surrogate]:  # fmt: skip
        """A surrogate of each kind, the best known first: it tells the others what to expect."""
        log_batch_G = np.log(np.array(sizes, dtype=float))
        fits: dict[Kind, Surrogate] = {}
        for kind in sorted(kinds, key=lambda one: -sum(trial.reached for trial in told[one][0])):
            prior = self._prior(space, kinds[kind], log_batch_G, next(iter(fits.values()), None))
            fits[kind] = fit_surrogate(told[kind][1], log_batch_G, prior, rng)
        return fits

    def _prior(
        self, space: Space, values: Mapping[str, Value], log_batch_G: Array, other: Surrogate | None
    ) -> Prior:  # fmt: skip
        typical = space.recipe(middle_values(space) | dict(values))
        shift = math.log(typical.effective_learning_rate / typical.learning_rate)
        low, high = rate_bounds(space, None)
        steps = self.max_examples / FEWEST_OF_LIMIT / math.exp(log_batch_G.mean())
        prior = first_prior(math.log(low) + shift, math.log(high) + shift, log_batch_G, math.log(max(steps, 1.0)))
        if other is None:
            return prior
        mean, spread = prior.mean.copy(), prior.spread.copy()
        for at, apart in ((LEVEL, OTHER_LEVEL), (CRITICAL, OTHER_CRITICAL)):
            known_D = other.law_DP[:, at]
            mean[at], spread[at] = np.median(known_D), math.hypot(apart, float(np.std(known_D)))
        return Prior(mean=mean, spread=spread)

    def _candidates(
        self, space: Space, kinds: Mapping[Kind, dict[str, Value]], fits: Mapping[Kind, Surrogate],
        reached: Sequence[Trial], sizes: Sequence[int], rng: np.random.Generator,
    ) -> list[Recipe]:  # fmt: skip
        best: dict[int, Trial] = {}
        for trial in sorted(reached, key=lambda one: -(one.steps_to_target or math.inf)):
            best[trial.recipe.global_batch_size] = trial
        known = [trial.recipe for trial in best.values()]
        found: list[Recipe] = []
        for kind, values in kinds.items():
            for combination in combinations(space, values, known, rng):
                for size in space.batch_sizes:
                    place_D = fits[kind].place_DG[:, sizes.index(size)]
                    found += recipes_at(space, size, combination, place_D, rate_bounds(space, best.get(size)))
        return found

    def _logs(
        self, space: Space, recipes: Sequence[Recipe], fits: Mapping[Kind, Surrogate],
        told: Mapping[Kind, tuple[list[Trial], Seen]], sizes: Sequence[int], rng: np.random.Generator,
    ) -> Array:  # fmt: skip
        """Draws of log(steps) of recipes: the law's, and what departs from it."""
        extras = extras_of(space)
        logs_DC = np.empty((NUM_DRAWS, len(recipes)))
        for kind, surrogate in fits.items():
            here = np.array([c for c, recipe in enumerate(recipes) if kind_of(recipe) == kind], dtype=int)
            if not len(here):
                continue
            of = [recipes[c] for c in here]
            own, seen = told[kind]
            miss_DT = seen.y_T - _law([trial.recipe for trial in own], surrogate, sizes)
            miss_T = miss_DT.mean(axis=0)
            # A bound tells something where the law expects less: then it is taken at its word.
            tells = (np.abs(miss_T) < MAX_MISS) & (~seen.bound_T | (miss_T > 0))
            at_T, at_C = coordinates([trial.recipe for trial in own], extras), coordinates(of, extras)
            noise_T = np.hypot(surrogate.noise, seen.spread_T)
            departures = fit_departures(at_T[tells], miss_T[tells], noise_T[tells], at_C, extras)
            spread_DC = departures.spread_C * rng.standard_normal((NUM_DRAWS, 1))
            learned_DC = np.clip(miss_DT[:, tells], -MAX_MISS, MAX_MISS) @ departures.weight_CT.T
            excess_T = np.clip(miss_T - UNUSUAL * noise_T, 0.0, MAX_EXCESS)
            risk_C = mishaps(at_T, excess_T, at_C, extras)
            logs_DC[:, here] = _law(of, surrogate, sizes) + learned_DC + spread_DC + risk_C
        return logs_DC


def _kind(space: Space, values: Mapping[str, Value]) -> Kind:
    return kind_of(space.recipe(middle_values(space) | dict(values)))


def _law(recipes: Sequence[Recipe], surrogate: Surrogate, sizes: Sequence[int]) -> Array:
    x = np.array([math.log(recipe.effective_learning_rate) for recipe in recipes], dtype=float)
    group = np.array([list(sizes).index(recipe.global_batch_size) for recipe in recipes], dtype=np.int64)
    return surrogate.draws(x, group)
