"""A study made up from a known law, for the tests of the report."""

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from largebatch.search.laws.batch_size.optima import BatchOptimum
from largebatch.search.laws.fit_laws import FittedLaws, fit_laws
from largebatch.search.laws.law import Law
from largebatch.search.plan.plan import Plan, PlanRow
from largebatch.spaces.step_times import ComputeTime, StepTime, StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement, Outcome, Trial
from largebatch.testing import make_trial

TARGET = Target(metric="val_accuracy", above=0.95)
SIZES = (16, 32, 64, 128, 256, 512, 1024)
RATES = tuple(0.025 * 2**exponent for exponent in range(9))
STEPS_MIN, B_CRIT = 60.0, 150.0


def best_rate(size: float) -> float:
    return 2.0 / (1 + 300 / size)


def trial(number: int, size: int, rate: float, seed: int = 0, reason: str = "") -> Trial:
    """Reached near the best rate, diverged far above it, exhausted far below."""
    off = math.log2(rate / best_rate(size))
    steps = STEPS_MIN * (1 + B_CRIT / size) * (1 + 0.25 * off**2) * (1 + 0.05 * seed)
    outcome = Outcome.DIVERGED if off > 2 else Outcome.EXHAUSTED if off < -3 else Outcome.REACHED
    trained = {Outcome.DIVERGED: 20, Outcome.EXHAUSTED: 60_000 // size}.get(outcome, math.ceil(steps))
    return make_trial(
        number, outcome=outcome, step=trained, seconds=trained * (0.002 + size * 1e-4),
        steps_to_target=steps if outcome is Outcome.REACHED else None, reason=reason or outcome.value,
        why=reason or "the laws of 9 trials expect fewer steps here than anywhere else",
        global_batch_size=size, learning_rate=rate, norm_batch_size=16, seed=seed,
    )  # fmt: skip


def trials(repeats: int = 1) -> list[Trial]:
    cells = [(size, rate, seed) for seed in range(repeats) for rate in RATES for size in SIZES]
    return [trial(number, *cell) for number, cell in enumerate(cells)]


def curve(of: Trial, num_points: int = 12) -> list[Measurement]:
    assert of.ending is not None
    total = of.steps_to_target or 4 * of.ending.step
    points = []
    for index in range(num_points):
        step = round(of.ending.step * index / (num_points - 1))
        loss = math.nan if of.ending.outcome is Outcome.DIVERGED and index > 8 else 2.3 * math.exp(-3 * step / total)
        values = {"val_accuracy": 0.95 - 0.85 * (1 - step / total), "val_loss": loss, "learning_rate": 0.1}
        seconds = of.ending.seconds * index / (num_points - 1)
        examples = step * of.recipe.global_batch_size
        points.append(Measurement(step=step, examples=examples, seconds=seconds, values=values))
    return points


def intervals(draws: np.ndarray, *names: str) -> dict[str, tuple[float, float]]:
    low, high = np.quantile(draws, (0.05, 0.95), axis=0)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}


def steps_law(verdict: Any = "ok", reason: str = "leave-one-out error 4 %") -> Law:
    draws = np.array([STEPS_MIN, B_CRIT]) * np.exp(0.08 * np.random.default_rng(0).standard_normal((200, 2)))
    return Law(
        name="hyperbola",
        parameters={} if verdict == "no-law" else {"S_min": STEPS_MIN, "B_crit": B_CRIT},
        interval={}
        if verdict == "no-law"
        else {
            "S_min": (float(np.quantile(draws[:, 0], 0.05)), float(np.quantile(draws[:, 0], 0.95))),
            "B_crit": (float(np.quantile(draws[:, 1], 0.05)), float(np.quantile(draws[:, 1], 0.95))),
        },
        draw_logs=lambda x: np.log(np.stack([p[0] * (1 + p[1] / x) for p in draws])),
        curve_logs=lambda x: np.log(np.stack([p[0] * (1 + p[1] / x) for p in draws])),
        misfit=0.05,
        fitted_on={"global_batch_size": list(SIZES)},
        verdict=verdict,
        reason=reason,
    )


def rate_law(verdict: Any = "ok") -> Law:
    draws = np.array([2.0, 300.0]) * np.exp(0.1 * np.random.default_rng(1).standard_normal((200, 2)))
    return Law(
        name="saturating",
        parameters={} if verdict == "no-law" else {"lr_max": 2.0, "B_n": 300.0},
        interval={}
        if verdict == "no-law"
        else {
            "lr_max": (float(np.quantile(draws[:, 0], 0.05)), float(np.quantile(draws[:, 0], 0.95))),
            "B_n": (float(np.quantile(draws[:, 1], 0.05)), float(np.quantile(draws[:, 1], 0.95))),
        },
        draw_logs=lambda x: np.log(np.stack([p[0] / (1 + p[1] / x) for p in draws])),
        curve_logs=lambda x: np.log(np.stack([p[0] / (1 + p[1] / x) for p in draws])),
        misfit=0.05,
        verdict=verdict,
        reason="" if verdict == "ok" else "two batch sizes only",
    )


def optimum(size: int, **changes: Any) -> BatchOptimum:
    steps, rate = STEPS_MIN * (1 + B_CRIT / size), best_rate(size)
    values = {
        "global_batch_size": size,
        **{"steps": steps, "steps_low": 0.9 * steps, "steps_high": 1.12 * steps},
        **{"learning_rate": rate, "learning_rate_low": 0.7 * rate, "learning_rate_high": 1.4 * rate},
        **{"tolerated_low": 0.6 * rate, "tolerated_high": 1.5 * rate},
        **{"edge": None, "num_trials": 9, "num_reached": 5, "best_trial": 3},
        **changes,
    }
    return BatchOptimum(**values)


@functools.cache
def fitted() -> FittedLaws:
    """What is fitted to the trials and to made-up step times."""
    return fit_laws(trials(), profile(), noise_scales={})


def profile() -> StepTimeProfile:
    """Steps of one to four workers, made up from their law."""

    def seconds(size: int, workers: int) -> tuple[float, ...]:
        middle = 0.004 + 1e-4 * size + 0.001 * math.log2(workers)
        return tuple(middle * factor for factor in (0.99, 1.0, 1.01))

    return StepTimeProfile(
        device="one core",
        num_bytes=4_000_000,
        compute=tuple(ComputeTime(local_batch_size=size, seconds=seconds(size, 1)) for size in (16, 64, 256)),
        steps=tuple(
            StepTime(num_workers=workers, local_batch_size=size, seconds=seconds(size, workers))
            for workers in (2, 4)
            for size in (16, 64, 256)
        ),
    )


def laws(verdict: Any = "ok") -> FittedLaws:
    """The laws above, with optima on an edge and one that is only a bound."""
    optima = [optimum(size) for size in SIZES]
    optima[0] = optimum(16, edge="low")
    optima[-1] = optimum(1024, steps=math.nan, steps_high=math.inf, num_reached=0, learning_rate=math.nan)
    return replace(
        fitted(),
        found=replace(fitted().found, optima=tuple(optima)),
        steps=steps_law(verdict),
        learning_rate=rate_law(verdict),
        step_seconds=None,
        others={},
        noise_scale=120.0,
    )


def row(num_workers: int, **changes: Any) -> PlanRow:
    size = min(4096, 64 * num_workers)
    steps = STEPS_MIN * (1 + B_CRIT / size)
    step_seconds = 0.004 + 1e-4 * size / num_workers + 0.001 * math.log2(num_workers)
    seconds, alone = steps * step_seconds, STEPS_MIN * (1 + B_CRIT / 64) * 0.0104
    spread = 1.1 if num_workers < 4 else 1.1 + 0.1 * math.log2(num_workers)
    values: dict[str, Any] = {
        **{"num_workers": num_workers, "global_batch_size": size, "local_batch_size": size // num_workers},
        "recipe": {"global_batch_size": size, "learning_rate": best_rate(size)},
        **{"steps": steps, "steps_low": 0.9 * steps, "steps_high": 1.1 * steps, "examples": steps * size},
        **{"step_seconds": step_seconds, "step_seconds_low": 0.9 * step_seconds, "step_seconds_high": step_seconds},
        **{"seconds_to_target": seconds, "seconds_low": seconds / spread, "seconds_high": seconds * spread},
        **{"speedup": alone / seconds, "efficiency": alone / seconds / num_workers},
        **{"device_hours": seconds * num_workers / 3600, "cost": None, "measured": num_workers <= 2},
    }
    return PlanRow(**(values | changes))


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "study": "digits",
        "target": str(TARGET),
        "laws": {"steps": steps_law(), "learning_rate": rate_law()},
        "rows": tuple(row(2**exponent) for exponent in range(7)),
        "knee_num_workers": 8,
        "knee_why": "16 workers are only 1.3 times faster than 8, at twice the device-hours",
    }
    return Plan(**(values | changes))
