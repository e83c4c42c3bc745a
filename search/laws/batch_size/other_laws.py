"""The best momentum, warm-up, weight decay and other numbers that a study varied, against the batch size B.

What the valley of the learning rate leaves of log(steps) is fitted by a parabola in the logarithm of the number h:
r = effect ((h - best(B)) / half range)^2 + noise, best(B) = a + b log B, both sides less their mean at each batch size,
which the valley's floor has taken. Where the effect of the whole range is
less than the trainings' scatter, the number makes no difference that was seen. Momentum is told as 1 - momentum, which
is how far a gradient is remembered (arXiv 2307.13813).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from largebatch.search.laws.batch_size.optima import Optima
from largebatch.search.laws.law import Array, Law, no_law, parameter_intervals, parameter_medians, quantile_interval
from largebatch.search.laws.smc import draw_posterior
from largebatch.spaces.recipe import Recipe

NUMBERS = ("momentum", "beta1", "beta2", "weight_decay", "warmup_steps", "warmup_epochs", "warmup_fraction")
FROM_ONE = ("momentum", "beta1", "beta2")
"""Told and fitted as 1 - value."""
MIN_TRIALS = 8
OF_LEAST = 0.3
"""Stands for a warm-up or decay of 0, as a share of the least above it that was tried."""


def fit_other_laws(found: Optima, rng: np.random.Generator) -> dict[str, Law]:
    """A law for each number that the trials varied, by the name of its field, with ``one_minus_`` where so told."""
    laws = {}
    for name in NUMBERS:
        values = [getattr(trial.recipe, name) for trial in found.trials]
        if any(value is None for value in values) or len(set(values)) < 3:
            continue
        told = f"one_minus_{name}" if name in FROM_ONE else name
        laws[told] = _fit(told, _logs(name, values), found, rng)
    return laws


def apply_laws(recipe: Recipe, laws: Mapping[str, Law], size: int) -> Recipe:
    """``recipe`` with the best numbers of its batch size, where the laws know them."""
    changed: dict[str, float] = {}
    for told, law in laws.items():
        if law.verdict != "ok":
            continue
        name, value = told.removeprefix("one_minus_"), float(law.predict(size).value)
        changed[name] = 1 - value if told != name else round(value) if name == "warmup_steps" else value
    return recipe.model_copy(update=changed)


def _logs(name: str, values: Sequence[float]) -> Array:
    numbers = 1 - np.array(values, dtype=float) if name in FROM_ONE else np.array(values, dtype=float)
    least = numbers[numbers > 0].min()
    return np.asarray(np.log(np.where(numbers > 0, numbers, OF_LEAST * least)))


def _fit(name: str, log_T: Array, found: Optima, rng: np.random.Generator) -> Law:
    known, residual_T = found.residuals()
    facts = {"num_trials": int(known.sum()), "low": float(np.exp(log_T.min())), "high": float(np.exp(log_T.max()))}
    if known.sum() < MIN_TRIALS:
        return no_law("parabola", f"{name} was varied in {known.sum()} usable trials; {MIN_TRIALS} are needed", facts)
    middle, half = float(log_T.max() + log_T.min()) / 2, float(log_T.max() - log_T.min()) / 2
    log_batch_T = np.log([float(trial.recipe.global_batch_size) for trial in found.trials])
    centre = float(log_batch_T.mean())
    reach = max(float(log_batch_T.max() - log_batch_T.min()) / 2, 1.0)
    place_T, batch_T, residual = ((log_T - middle) / half)[known], (log_batch_T - centre)[known], residual_T[known]

    def best(z: Array, log_batch: Array) -> Array:
        return np.asarray(0.7 * z[:, 0:1] + 0.7 * z[:, 1:2] * log_batch / reach)

    def effect(z: Array) -> Array:
        return np.asarray(0.2 * np.exp(z[:, 2:3]))

    same = batch_T[:, None] == batch_T
    centring = np.eye(len(batch_T)) - same / same.sum(axis=1, keepdims=True)

    def log_likelihood(z: Array) -> Array:
        noise = max(found.valley.noise, 0.02) * np.exp(0.5 * z[:, 3:4])
        miss = (residual - effect(z) * (place_T - best(z, batch_T)) ** 2) @ centring
        return np.asarray((-0.5 * (miss / noise) ** 2 - np.log(noise)).sum(axis=1))

    z = draw_posterior(log_likelihood, 4, rng)

    def logs(batch: Array) -> Array:
        return np.asarray(middle + half * np.clip(best(z, np.log(batch) - centre), -1, 1))

    size, (low, high) = float(np.median(effect(z))), quantile_interval(effect(z)[:, 0])
    slope_D = 0.7 * z[:, 1] * half / reach
    scatter = found.valley.noise
    told = f"{100 * math.expm1(size):.0f} % ({100 * math.expm1(low):.0f} to {100 * math.expm1(high):.0f} %)"
    matters = size > scatter and low > 0.25 * scatter
    reason = (
        f"half of the tried range away from its best costs {told} more steps"
        if matters
        else f"half of the tried range costs {told} more steps, which the scatter of {100 * scatter:.0f} % hides"
    )
    at_centre = np.exp(logs(np.array([math.exp(centre)]))[:, 0])
    draws = {f"{name}_at_{math.exp(centre):.0f}": at_centre, "power": slope_D}
    return Law(
        name="parabola",
        parameters=parameter_medians(draws),
        interval=parameter_intervals(draws),
        draw_logs=logs,
        curve_logs=logs,
        misfit=scatter,
        fitted_on=facts,
        verdict="ok" if matters else "flat",
        reason=reason,
    )
