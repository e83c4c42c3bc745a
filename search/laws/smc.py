"""Draws from a posterior by sequential Monte Carlo: from the prior to the posterior through tempered likelihoods.

Reference: Del Moral, Doucet, Jasra (2006), J. R. Stat. Soc. B 68:411; temperatures chosen by the effective sample size
as in Jasra et al. (2011), Scand. J. Stat. 38:1. Notation: D draws, P parameters, whose prior is standard normal.
"""

from collections.abc import Callable

import numpy as np

from largebatch.search.laws.law import Array

NUM_DRAWS = 400
NUM_MOVES = 4
"""Metropolis moves of every draw at each temperature."""
MAX_TEMPERATURES = 200


def draw_posterior(
    log_likelihood: Callable[[Array], Array], num_parameters: int, rng: np.random.Generator,
    num_draws: int = NUM_DRAWS, num_moves: int = NUM_MOVES,
) -> Array:  # fmt: skip
    """Draws, shape (D, P), of parameters with a standard normal prior and ``log_likelihood((D, P)) -> (D,)``."""
    draws = rng.standard_normal((num_draws, num_parameters))
    likelihood = log_likelihood(draws)
    heat = 0.0
    for _ in range(MAX_TEMPERATURES):
        rise = _next_rise(likelihood, 1 - heat)
        heat = 1.0 if rise >= 1 - heat else heat + rise
        chosen = _resample(np.exp(rise * (likelihood - likelihood.max())), rng)
        draws, likelihood = draws[chosen], likelihood[chosen]
        draws, likelihood = _move(draws, likelihood, log_likelihood, heat, num_moves, rng)
        if heat == 1.0:
            break
    return draws


def _next_rise(likelihood: Array, left: float) -> float:
    """The largest rise of the temperature that keeps half of the draws effective."""
    excess = likelihood - likelihood.max()

    def effective_share(rise: float) -> float:
        weight = np.exp(rise * excess)
        return float(weight.sum() ** 2 / (weight**2).sum() / len(weight))

    if effective_share(left) >= 0.5:
        return left
    low, high = 0.0, left
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if effective_share(middle) > 0.5 else (low, middle)
    return high


def _resample(weight: Array, rng: np.random.Generator) -> np.ndarray:
    """Indices of draws by systematic resampling."""
    places = (np.arange(len(weight)) + rng.random()) / len(weight)
    return np.minimum(np.searchsorted(np.cumsum(weight) / weight.sum(), places), len(weight) - 1)


def _move(
    draws: Array, likelihood: Array, log_likelihood: Callable[[Array], Array], heat: float, num_moves: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:  # fmt: skip
    """Random walks as wide as the draws are spread (Roberts, Rosenthal 2001), each move shorter or longer by chance."""
    num_draws, num_parameters = draws.shape
    spread = np.cov(draws.T).reshape(num_parameters, num_parameters) + 1e-9 * np.eye(num_parameters)
    root = np.linalg.cholesky(spread).T * 2.38 / np.sqrt(num_parameters)
    for _ in range(num_moves):
        proposed = draws + rng.standard_normal(draws.shape) @ root * np.exp(0.5 * rng.standard_normal())
        new_likelihood = log_likelihood(proposed)
        gain = heat * (new_likelihood - likelihood) - 0.5 * ((proposed**2).sum(axis=1) - (draws**2).sum(axis=1))
        taken = np.log(rng.random(num_draws)) < gain
        draws = np.where(taken[:, None], proposed, draws)
        likelihood = np.where(taken, new_likelihood, likelihood)
    return draws, likelihood
