"""Seconds of a synchronous step against workers and local batch.

Notation: N workers, b examples a worker and step, n bytes summed a step; t = a + c b + sync(N).
Compute is affine in the local batch (Qiao et al. 2021, Pollux, OSDI, section 3.2). A sum over N workers takes
2 ceil(log2 N) alpha + 2 (N-1)/N n beta by halving and doubling, 2 (N-1) alpha + 2 (N-1)/N n beta round a ring (Thakur
et al. 2005, IJHPCA 19:49). Which of the two a machine uses is not known from two workers, so the draws mix them; the
best guess is their geometric mean. The slowest of N workers is later than the mean by about sigma sqrt(2 ln N).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import nnls

from largebatch.search.laws.law import INTERVAL, Array, Prediction, Verdict, law_json, parameter_intervals
from largebatch.spaces.step_time_profile import StepTimeProfile

PARAMETERS = ("fixed_seconds", "seconds_an_example", "latency_seconds", "seconds_a_byte", "jitter", "misfit", "ring")
"""``jitter``: relative scatter of a step; ``misfit``: factor that the law leaves out; ``ring``: share of the ring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimeLaw:
    """The fitted law; the same face as ``Law``, over workers and local batch."""

    parameters: Mapping[str, float]
    draws_DP: Array
    num_bytes: int
    verdict: Verdict
    reason: str
    fitted_on: Mapping[str, Any] = field(default_factory=dict)
    name: str = "compute + latency + bandwidth"

    def predict(self, num_workers: int, local_batch_size: int) -> Prediction:
        """Seconds a step with their 90 % interval."""
        value = _seconds(np.array([list(self.parameters.values())]), num_workers, local_batch_size, self.num_bytes)[0]
        low, high = np.quantile(self.draws(num_workers, local_batch_size), INTERVAL)
        return Prediction(value=np.asarray(value), low=np.asarray(min(low, value)), high=np.asarray(max(high, value)))

    def draws(self, num_workers: int, local_batch_size: int) -> Array:
        """Seconds a step of every draw."""
        return _seconds(self.draws_DP, num_workers, local_batch_size, self.num_bytes)

    def synchronising_seconds(self, num_workers: int) -> float:
        """The best guess of what the sum over workers takes."""
        row = np.array([list(self.parameters.values())])
        return float(_sync(row, num_workers, self.num_bytes)[0])

    @property
    def interval(self) -> dict[str, tuple[float, float]]:
        """The 90 % interval of each parameter."""
        return parameter_intervals(self.parameters, self.draws_DP)

    def to_json(self) -> dict[str, Any]:
        """As ``Law.to_json``."""
        return law_json(self)


def fit_step_time_law(profile: StepTimeProfile, *, num_draws: int, rng: np.random.Generator) -> StepTimeLaw:
    """Fit compute and communication apart, each with relative weights; draws resample the repeats."""
    batch_K = np.array([float(time.local_batch_size) for time in profile.compute])
    fixed, slope, misses_K = _fit_compute(batch_K, np.array([np.median(time.seconds) for time in profile.compute]))
    jitter = float(np.median([_relative_spread(time.seconds) for time in profile.compute]))
    latency, byte = _fit_all_reduce(profile, [np.median(time.seconds) for time in profile.all_reduce])
    overhead = _measured_overhead(profile, latency, byte)
    rms = math.sqrt(float(np.mean(misses_K**2)))
    draws = []
    for _ in range(num_draws):
        compute = np.array([np.median(rng.choice(time.seconds, len(time.seconds))) for time in profile.compute])
        a, c, _ = _fit_compute(batch_K, compute)
        sums = [np.median(rng.choice(time.seconds, len(time.seconds))) for time in profile.all_reduce]
        alpha, beta = _fit_all_reduce(profile, sums)
        misfit = math.exp(rms * rng.standard_normal())
        scale = math.exp(rng.uniform(0.0, 1.0) * math.log(overhead)) if overhead > 1 else 1.0
        draws.append((a, c, alpha * scale, beta * scale, jitter, misfit, rng.uniform()))
    workers = sorted({time.num_workers for time in profile.all_reduce})
    reason = f"compute fits within {100 * rms:.0f} % rms; "
    if workers:
        scale = math.sqrt(overhead)
        reason += f"sums were timed with {workers[-1]} workers on one machine, beyond that they are predicted"
        verdict: Verdict = "ok"
    else:
        scale = 1.0
        reason += "no sums were timed (one device), so times of more workers are lower bounds"
        verdict = "no-law"
    best = (fixed, slope, latency * scale, byte * scale, jitter, 1.0, 0.5)
    return StepTimeLaw(
        parameters=dict(zip(PARAMETERS, best, strict=True)), draws_DP=np.array(draws), num_bytes=profile.num_bytes,
        verdict=verdict, reason=reason,
        fitted_on={"local_batch_size": batch_K.astype(int).tolist(), "num_workers": workers, "device": profile.device},
    )  # fmt: skip


def _seconds(rows_DP: Array, num_workers: int, local_batch_size: int, num_bytes: int) -> Array:
    fixed, slope, _, _, jitter, misfit, _ = rows_DP.T
    straggling = 1 + jitter * math.sqrt(2 * math.log(num_workers))
    compute: Array = (fixed + slope * local_batch_size) * misfit * straggling
    return compute + _sync(rows_DP, num_workers, num_bytes)


def _sync(rows_DP: Array, num_workers: int, num_bytes: int) -> Array:
    latency, byte, ring = rows_DP[:, 2], rows_DP[:, 3], rows_DP[:, 6]
    if num_workers == 1:
        return np.zeros(len(rows_DP))
    hops = (num_workers - 1) ** ring * math.ceil(math.log2(num_workers)) ** (1 - ring)
    return np.asarray(2 * hops * latency + 2 * (num_workers - 1) / num_workers * num_bytes * byte)


def _fit_compute(batch_K: Array, seconds_K: Array) -> tuple[float, float, Array]:
    """The fixed part, the part an example (neither negative), and the misses in log."""
    design = np.stack([np.ones_like(batch_K), batch_K], axis=1) / seconds_K[:, None]
    (fixed, slope), _ = nnls(design, np.ones_like(seconds_K))
    return float(fixed), float(slope), np.log(seconds_K / (fixed + slope * batch_K))


def _fit_all_reduce(profile: StepTimeProfile, seconds: list[Any]) -> tuple[float, float]:
    """Latency and seconds a byte; both algorithms agree for two workers."""
    if not profile.all_reduce:
        return 0.0, 0.0
    seconds_K = np.array(seconds, dtype=float)
    hops = np.array([2 * math.ceil(math.log2(time.num_workers)) for time in profile.all_reduce], dtype=float)
    bytes_ = np.array([2 * (t.num_workers - 1) / t.num_workers * t.num_bytes for t in profile.all_reduce])
    design = np.stack([hops, bytes_], axis=1) / seconds_K[:, None]
    (latency, byte), _ = nnls(design, np.ones_like(seconds_K))
    return float(latency), float(byte)


def _measured_overhead(profile: StepTimeProfile, latency: float, byte: float) -> float:
    """How many times longer a step's synchronisation took than its bare sum (1 where it was not seen)."""
    alone = {time.local_batch_size: float(np.median(time.seconds)) for time in profile.compute}
    ratios = []
    for step in profile.steps:
        row = np.array([[0, 0, latency, byte, 0, 1, 0.5]])
        bare = float(_sync(row, step.num_workers, profile.num_bytes)[0])
        seen = float(np.median(step.seconds)) - alone[step.local_batch_size]
        if bare > 0:
            ratios.append(max(seen, 0.0) / bare)
    return max(1.0, float(np.median(ratios))) if ratios else 1.0


def _relative_spread(seconds: tuple[float, ...]) -> float:
    """The standard deviation from the median deviation, which one disturbed repeat does not move."""
    middle = float(np.median(seconds))
    return 1.4826 * float(np.median(np.abs(np.array(seconds) - middle))) / middle
