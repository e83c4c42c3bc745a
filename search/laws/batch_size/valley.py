"""The best learning rate and its steps to target at each batch size, from all trials at once.

Notation: G batch sizes, T trials; x = log(effective learning rate); y = log(steps to target); floor_G and place_G, the
valley's lowest point at each batch size.

Model: y = floor + (slope / c) (exp(c u) - c u - 1) + noise, with u = x - place. Near its floor this is a parabola of
curvature slope * c / 2; on the left it falls along a line, for twice a small rate takes half the steps (slope near 1);
on the right it rises to a wall, where training diverges, the steeper the larger c (the LINEX function, Varian 1975).
log slope and log c are linear in log B: a large batch has less noise that would round its valley. The noise is the
same at every batch size. Each place is drawn to the trend of the others by a prior of width ``TREND_WIDTH``, which
matters only where trials are few. Trials that did not reach the target are censored from below (Tobin 1958,
Econometrica 26:24); so are those that took more than ``WINDOW`` times the few best at their batch size, where no such
shape need hold. Those that met it before their first evaluation are censored from above.
Where a target was met between two evaluations, y is interpolated. How far that is off is shared by the trainings of a
batch size, which are evaluated after the same steps and whose curves bend alike: it does not average out. So a floor's
draws are moved, all trainings together, as passages are that lie anywhere between their evaluations.
Fit: penalised maximum likelihood; draws from the normal approximation at it, with the noise's own uncertainty.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, least_squares
from scipy.special import log_ndtr

from largebatch.search.laws.law import Array

WINDOW = 2.0
TREND_WIDTH = 0.7
FLOOR_WIDTH = 0.5
"""Prior of a floor: round the fewest steps that were seen at its batch size."""
MANY = 2_000
"""Trials above which a step of the fit is found by iteration: a decomposition of all their slopes takes most of it."""
ONE_RATE = 0.01
"""Rates of a study that differ by less, in log, are one rate."""
EDGE_CHANCE = 0.25
"""Chance that the best rate lies beyond those that were tried from which it is said to lie on their edge."""
SLOPE, SLOPE_SPREAD, SLOPE_TREND_SPREAD = 0.9, 0.5, 0.1
"""Prior: the median, the standard deviation of the logarithm, and that of its power of B."""
LEAN, LEAN_SPREAD, LEAN_TREND_SPREAD = 3.0, 1.0, 0.4
"""Prior of c, in the same way."""
NOISE, NOISE_WEIGHT = 0.15, 2.0
"""Prior of the noise, worth so many trials."""
MIN_NOISE, MAX_NOISE = 0.02, 1.0
ROUNDS = 4
"""Times that the shape is fitted at a noise and the noise at a shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Valley:
    """The fit and draws of it: one row a draw, one column a batch size (NaN where no trial reached the target)."""

    floor_G: Array
    place_G: Array
    floor_DG: Array
    place_DG: Array
    slope_G: Array
    lean_G: Array
    noise: float
    """Standard deviation of log(steps) of repeated trainings."""
    bound_G: Array
    """Fewest steps before which the target was met unseen, at the first evaluation: infinite where it never was."""
    passage_G: Array
    """Standard deviation of log(steps) that is only for evaluating too rarely."""
    edge_G: np.ndarray
    """1 where the lowest point lies at the highest rate that was tried, -1 at the lowest, else 0."""

    def predict(self, x_T: Array, group_T: np.ndarray) -> Array:
        """log(steps) of the valley at the batch sizes ``group_T``."""
        rise = self.slope_G[group_T] * linex(x_T - self.place_G[group_T], self.lean_G[group_T])
        return np.asarray(self.floor_G[group_T] + rise)

    def width(self, group: int, loss: float = 0.1) -> tuple[float, float]:
        """Factors below and above the best rate at which the steps are ``loss`` (a fraction) more than at it."""
        aim = math.log1p(loss)

        def excess(offset: float) -> float:
            return float(self.slope_G[group] * linex(np.array(offset), self.lean_G[group])) - aim

        return math.exp(brentq(excess, -20.0, 0.0)), math.exp(brentq(excess, 0.0, 20.0))


def fit_valley(
    x_T: Array,
    steps_T: Array,
    reached_T: np.ndarray,
    group_T: np.ndarray,
    log_batch_G: Array,
    *,
    num_draws: int,
    rng: np.random.Generator,
    early_T: np.ndarray | None = None,
    spread_T: Array | None = None,
) -> Valley:
    """Fit trials of one kind of recipe. ``steps_T``: to the target, or without it where ``reached_T`` is False.

    A trial that can never reach it, for it diverged, has infinite steps. ``group_T`` indexes ``log_batch_G``. Where
    ``early_T``, the target was met within ``steps_T``, nobody knows when; ``spread_T`` is the standard deviation, in
    log, of steps that lie between two evaluations. At some batch size that was reached no trial may be early.
    """
    early_T = np.zeros(len(x_T), dtype=bool) if early_T is None else early_T
    spread_T = np.zeros(len(x_T)) if spread_T is None else spread_T
    num_groups = len(log_batch_G)
    y_T, known_T = _responses(steps_T, reached_T, group_T, num_groups)
    known_T &= ~early_T
    bound_G = np.array([np.min(steps_T, where=early_T & (group_T == g), initial=math.inf) for g in range(num_groups)])
    passage_G = np.array([_shared_spread(y_T, spread_T, known_T & (group_T == g)) for g in range(num_groups)])
    groups = np.array([g for g in range(num_groups) if (known_T & (group_T == g)).any()])
    use = np.isin(group_T, groups)
    fit = _Fit(
        x_T[use], y_T[use], known_T[use], np.searchsorted(groups, group_T[use]), log_batch_G[groups], early_T[use]
    )
    best, noise, freedom = fit.best()
    # Student's t rather than the normal distribution: the noise was estimated from few trials.
    root = np.linalg.cholesky(np.linalg.inv(fit.information(best, np.hypot(noise, spread_T[use]))))
    scale_D = np.sqrt(freedom / rng.chisquare(freedom, num_draws))
    draws = best + (rng.standard_normal((num_draws, len(best))) @ root.T) * scale_D[:, None]
    floor_DG = np.full((num_draws, len(log_batch_G)), np.nan)
    place_DG = floor_DG.copy()
    floor_DG[:, groups], place_DG[:, groups] = fit.lowest(draws)
    if x_T.max() - x_T.min() < ONE_RATE:  # then no place is known, and what lies beyond the one rate is never needed
        floor_DG[:, groups] = fit.heights(draws, best, noise)
    # The part of a passage's spread that is shared; the other is in the draws. Numbers of their own leave others alone.
    shared_G = passage_G * np.sqrt([1 - 1 / max((known_T & (group_T == g)).sum(), 1) for g in range(num_groups)])
    floor_DG += shared_G * rng.spawn(1)[0].uniform(-math.sqrt(3), math.sqrt(3), floor_DG.shape)
    floor_G, place_G = np.full(len(log_batch_G), np.nan), np.full(len(log_batch_G), np.nan)
    floors, places = fit.lowest(best[None])
    floor_G[groups], place_G[groups] = floors[0], places[0]
    edge_G = np.zeros(len(log_batch_G), dtype=int)
    for group in groups:
        tried, place_D = x_T[group_T == group], place_DG[:, group]
        if tried.max() > tried.min():
            above, below = np.mean(place_D >= tried.max()), np.mean(place_D <= tried.min())
            edge_G[group] = int(above > EDGE_CHANCE and above >= below) - int(below > EDGE_CHANCE and below > above)
    return Valley(
        floor_G=floor_G, place_G=place_G, floor_DG=floor_DG, place_DG=place_DG,
        slope_G=fit.slope(best, log_batch_G), lean_G=fit.lean(best, log_batch_G), noise=noise, edge_G=edge_G,
        bound_G=bound_G, passage_G=passage_G,
    )  # fmt: skip


def linex(offset: Array, lean: float | Array) -> Array:
    """(exp(c u) - c u - 1) / c, near 0 the parabola c u^2 / 2."""
    bent = np.minimum(lean * offset, 60)
    return np.asarray(np.where(np.abs(bent) < 1e-4, bent**2 / 2, np.expm1(bent) - bent) / lean)


def _responses(steps_T: Array, reached_T: np.ndarray, group_T: np.ndarray, num_groups: int) -> tuple[Array, np.ndarray]:
    """log(steps) or its lower bound, and which of them are known."""
    limit_T = np.full(len(steps_T), np.inf)
    for group in range(num_groups):
        reached = np.sort(steps_T[(group_T == group) & reached_T])
        if len(reached):
            limit_T[group_T == group] = WINDOW * float(np.median(reached[:3]))  # the fewest alone may be luck
    known_T = reached_T & (steps_T <= limit_T)
    return np.log(np.maximum(np.minimum(steps_T, limit_T), 1.0)), known_T


def _shared_spread(y_T: Array, spread_T: Array, here_T: np.ndarray) -> float:
    """That of the trainings which make a batch size's floor: the median of the few fastest."""
    fastest = np.flatnonzero(here_T)[np.argsort(y_T[here_T], kind="stable")[:3]]
    return float(np.median(spread_T[fastest])) if len(fastest) else 0.0


class _Fit:
    """Parameters: level and trend of log slope, of log lean and of the places; then floors and places."""

    FIRST = 6

    def __init__(
        self, x_T: Array, y_T: Array, known_T: np.ndarray, group_T: np.ndarray, log_batch_G: Array, early_T: np.ndarray
    ) -> None:
        self.x_T, self.y_T, self.known_T, self.group_T = x_T, y_T, known_T, group_T
        self.side_T = np.where(early_T, -1.0, 1.0)  # on which of its bound the steps of a censored one lie
        self.middle, self.log_batch_G = float(log_batch_G.mean()), log_batch_G - log_batch_G.mean()
        self.num = len(log_batch_G)
        self.solver = "lsmr" if len(y_T) > MANY else "exact"
        self.fewest_G = np.array([y_T[(group_T == g) & (known_T | early_T)].min() for g in range(self.num)])

    def slope(self, p: Array, log_batch: Array) -> Array:
        return np.asarray(np.exp(p[0] + p[1] * (log_batch - self.middle)))

    def lean(self, p: Array, log_batch: Array) -> Array:
        return np.asarray(np.exp(p[2] + p[3] * (log_batch - self.middle)))

    def best(self) -> tuple[Array, float, float]:
        """The best parameters, the noise, and its degrees of freedom."""
        at = self._start()
        noise = 0.2
        freedom = max(1.0, self.known_T.sum() - 1.5 * self.num - 2) + NOISE_WEIGHT
        for _ in range(ROUNDS):
            at = least_squares(self._misses, at, jac=self._slopes, args=(noise,), tr_solver=self.solver).x
            square = float(np.sum((self.y_T - self._predict(at))[self.known_T] ** 2))
            noise = math.sqrt((square + NOISE_WEIGHT * NOISE**2) / freedom)
            noise = min(max(noise, MIN_NOISE), MAX_NOISE)
        return np.asarray(at), noise, freedom

    def information(self, parameters: Array, noise: Array) -> Array:
        slopes = self._slopes(parameters, noise)
        return np.asarray(slopes.T @ slopes + 1e-9 * np.eye(slopes.shape[1]))

    def lowest(self, parameters_DP: Array) -> tuple[Array, Array]:
        """Floors and places; where the lowest point lies outside of the tried rates, those of the nearest of them."""
        low = np.array([self.x_T[self.group_T == g].min() for g in range(self.num)])
        high = np.array([self.x_T[self.group_T == g].max() for g in range(self.num)])
        floor_DG, place_DG = self._floors(parameters_DP.T).T, self._places(parameters_DP.T).T
        inside = np.clip(place_DG, low, high)
        slope_DG = np.exp(parameters_DP[:, 0:1] + parameters_DP[:, 1:2] * self.log_batch_G)
        lean_DG = np.exp(parameters_DP[:, 2:3] + parameters_DP[:, 3:4] * self.log_batch_G)
        rise = slope_DG * linex(inside - place_DG, lean_DG)
        return np.asarray(floor_DG + np.minimum(rise, 3.0)), np.asarray(inside)

    def heights(self, parameters_DP: Array, best: Array, noise: float) -> Array:
        """log(steps) at the one rate of all trials: to first order, for the places of draws lie anywhere."""
        first = [int(np.flatnonzero((self.group_T == g) & self.known_T)[0]) for g in range(self.num)]
        slopes_GP = self._slopes(best, noise)[first] * noise
        return np.asarray(self._predict(best)[first] + (parameters_DP - best) @ slopes_GP.T)

    def _floors(self, p: Array) -> Array:
        return p[self.FIRST : self.FIRST + self.num]

    def _places(self, p: Array) -> Array:
        return p[self.FIRST + self.num :]

    def _start(self) -> Array:
        places, floors = [], []
        for g in range(self.num):
            here = np.flatnonzero((self.group_T == g) & self.known_T)
            few = here[np.argsort(self.y_T[here])[:3]]
            places.append(float(np.mean(self.x_T[few])))
            floors.append(float(np.mean(self.y_T[few])))
        return np.array([math.log(SLOPE), 0.0, math.log(LEAN), 0.0, float(np.mean(places)), 0.5, *floors, *places])

    def _predict(self, p: Array) -> Array:
        offset = self.x_T - self._places(p)[self.group_T]
        log_batch = self.log_batch_G[self.group_T] + self.middle
        rise = self.slope(p, log_batch) * linex(offset, self.lean(p, log_batch))
        return np.asarray(self._floors(p)[self.group_T] + rise)

    def _misses(self, p: Array, noise: float) -> Array:
        z = (self._predict(p) - self.y_T) / noise
        data = np.where(self.known_T, z, np.sqrt(np.maximum(-2 * log_ndtr(self.side_T * z), 0.0)))
        trend = p[4] + p[5] * self.log_batch_G
        shape = [
            (p[0] - math.log(SLOPE)) / SLOPE_SPREAD, p[1] / SLOPE_TREND_SPREAD,
            (p[2] - math.log(LEAN)) / LEAN_SPREAD, p[3] / LEAN_TREND_SPREAD, p[5] - 0.5,
        ]  # fmt: skip
        floors = (self._floors(p) - self.fewest_G) / FLOOR_WIDTH
        return np.concatenate([data, shape, (self._places(p) - trend) / TREND_WIDTH, floors])

    def _slopes(self, p: Array, noise: float | Array) -> Array:
        """The derivatives of ``_misses``."""
        group, num, centred = self.group_T, self.num, self.log_batch_G[self.group_T]
        slope, lean = self.slope(p, centred + self.middle), self.lean(p, centred + self.middle)
        offset = self.x_T - self._places(p)[group]
        bent = np.clip(lean * offset, -60, 60)
        shape, steep = linex(offset, lean), np.expm1(bent)
        slopes = np.zeros((len(self.x_T), len(p)))
        slopes[:, 0] = slope * shape
        slopes[:, 1] = slopes[:, 0] * centred
        slopes[:, 2] = slope * (offset * steep - shape)  # by log c
        slopes[:, 3] = slopes[:, 2] * centred
        row = np.arange(len(self.x_T))
        slopes[row, self.FIRST + group] = 1.0
        slopes[row, self.FIRST + num + group] = -slope * steep
        z = (self._predict(p) - self.y_T) / noise
        log_cdf = log_ndtr(self.side_T * z)
        root = np.sqrt(np.maximum(-2 * log_cdf, 1e-12))
        hazard = np.exp(-0.5 * z**2 - 0.5 * math.log(2 * math.pi) - log_cdf)
        slopes *= (np.where(self.known_T, 1.0, -self.side_T * hazard / root) / noise)[:, None]
        prior = np.zeros((5 + 2 * num, len(p)))
        widths = (SLOPE_SPREAD, SLOPE_TREND_SPREAD, LEAN_SPREAD, LEAN_TREND_SPREAD, 1.0)
        prior[range(5), (0, 1, 2, 3, 5)] = 1 / np.array(widths)
        line = np.arange(num)
        prior[5 + line, self.FIRST + num + line] = 1 / TREND_WIDTH
        prior[5 : 5 + num, 4] = -1 / TREND_WIDTH
        prior[5 : 5 + num, 5] = -self.log_batch_G / TREND_WIDTH
        prior[5 + num + line, self.FIRST + line] = 1 / FLOOR_WIDTH
        return np.vstack([slopes, prior])
