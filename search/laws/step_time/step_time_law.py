"""The step-time law: the formula of ``step_time_model`` fitted to timings, with draws from its posterior.

Priors: where nothing was measured, what is known of machines (``interconnects``) and of training steps in general;
so two timings give a wide interval rather than a wrong number. Beyond the most workers that were timed, the time of a
step drifts by ``DRIFT`` and that of synchronising by ``SYNC_DRIFT`` for each factor e of workers (standard deviations
in log): what more machines will do to a step is not seen on few. Where nothing checks the formula, for only two numbers
of workers and no bare sums were timed, a step drifts by ``UNCHECKED_DRIFT``.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, ndtr

from largebatch.search.laws.law import (
    INTERVAL,
    Array,
    Prediction,
    Verdict,
    law_json,
    parameter_intervals,
    parameter_medians,
)
from largebatch.search.laws.smc import draw_posterior
from largebatch.search.laws.step_time.interconnects import UNKNOWN, Interconnect
from largebatch.search.laws.step_time.links import Link, measured_links
from largebatch.search.laws.step_time.step_time_model import StepParts, StepTimeParameters, step_parts, sum_seconds
from largebatch.search.laws.step_time.timings import Timings

DRIFT, SYNC_DRIFT = 0.05, 0.2
UNCHECKED_DRIFT = 0.3
"""The root mean square of what two fitted sizes missed by in MLPerf's rounds 0.7 and 1.0, four times beyond them."""
CHECKED_COUNTS = 3
MISFIT, MISFIT_SPREAD = 0.05, 0.3
"""Prior of what the formula leaves out of a time: median and standard deviation of the logarithm. A wider one lets the
misfit take what is a trend: times that grow with the workers came out constant."""
MAX_MISFIT = 0.2
"""A formula that misses the timings by more than this (root mean square in log, beyond their scatter) does not describe
them."""
NUM_COORDINATES, NUM_MOVES = 14, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimeLaw:
    """The fitted law; the same face as ``Law``, over workers and local batch."""

    draws_of: StepTimeParameters
    misfit_D: Array
    """What the formula leaves out of each draw's times, as a logarithm."""
    drift_D2: Array
    """Standard normal draws of the two drifts."""
    num_bytes: float
    workers_per_node: int | None
    most_workers: float
    """The most that were timed."""
    drift: float
    """Of a step's time, in log, for each factor e of workers beyond them."""
    verdict: Verdict
    reason: str
    fitted_on: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    """What joins devices, as it was measured."""
    synchronised: bool = True
    """Whether anything was timed with several workers; else what synchronising takes is known from priors alone."""
    name: str = "compute + latency + bandwidth"

    @property
    def parameters(self) -> dict[str, float]:
        """The median of each parameter."""
        return parameter_medians(self._told())

    @property
    def interval(self) -> dict[str, tuple[float, float]]:
        """The 90 % interval of each parameter."""
        return parameter_intervals(self._told())

    def middle_parts(self, num_workers: ArrayLike, local_batch_size: ArrayLike) -> StepParts:
        """The parts of a step at the medians of the parameters, shape (1, M): quick, for choosing among many."""
        workers = np.atleast_1d(np.asarray(num_workers, float))
        local = np.atleast_1d(np.asarray(local_batch_size, float))
        return step_parts(self.draws_of.middle(), workers, local, self.num_bytes, self.workers_per_node)

    def draws(self, num_workers: ArrayLike, local_batch_size: ArrayLike) -> Array:
        """Seconds a step of every draw, shape (D, *num_workers.shape); both arguments have one shape."""
        workers, local = np.asarray(num_workers, float), np.asarray(local_batch_size, float)
        flat = workers.reshape(-1)
        beyond = np.maximum(np.log(flat / self.most_workers), 0.0)
        seconds = step_parts(
            self.draws_of, flat, local.reshape(-1), self.num_bytes, self.workers_per_node,
            np.exp(SYNC_DRIFT * beyond * self.drift_D2[:, 1:]),
        ).seconds  # fmt: skip
        left_out = self.misfit_D[:, None] + self.drift * beyond * self.drift_D2[:, :1]
        return np.asarray(seconds * np.exp(left_out)).reshape(-1, *workers.shape)

    def curve_draws(self, num_workers: ArrayLike, local_batch_size: ArrayLike) -> Array:
        """The same without misfit: what more timings elsewhere could teach."""
        seconds = self.draws(num_workers, local_batch_size)
        return np.asarray(seconds * np.exp(-self.misfit_D).reshape(-1, *(1,) * (seconds.ndim - 1)))

    def predict(self, num_workers: ArrayLike, local_batch_size: ArrayLike) -> Prediction:
        """Seconds a step with their 90 % interval; the value is the median of the draws."""
        draws = self.draws(num_workers, local_batch_size)
        low, value, high = np.quantile(draws, (INTERVAL[0], 0.5, INTERVAL[1]), axis=0)
        return Prediction(value=value, low=low, high=high)

    def to_json(self) -> dict[str, Any]:
        """As ``Law.to_json``."""
        return {**law_json(self), "links": [asdict(link) for link in self.links]}

    def _told(self) -> dict[str, Array]:
        told = self.draws_of.draws()
        if self.workers_per_node is None:
            told = {name: values for name, values in told.items() if not name.startswith("node_")}
        return told


def fit_step_time_law(
    timings: Timings,
    *,
    rng: np.random.Generator,
    device: str = "",
    within: Interconnect = UNKNOWN,
    between: Interconnect = UNKNOWN,
) -> StepTimeLaw:
    """Fit ``timings``; ``within`` a node and ``between`` nodes are priors of the links."""
    first = np.lexsort((-timings.local_batch_M, timings.num_workers_M))[0]
    reference = (float(timings.log_seconds_M[first]), float(timings.local_batch_M[first]))
    widths, sum_widths = timings.width_M, timings.sum_width_R
    per_node, sum_per_node = timings.nodes_of(timings.per_node_M), timings.nodes_of(timings.sum_per_node_R)

    def log_likelihood(z: Array) -> Array:
        draws = _parameters(z, reference, timings.jitter, within, between)
        misfit, sum_misfit = _misfit(z[:, 12:13]), 2 * _misfit(z[:, 13:14])
        told = step_parts(draws, timings.num_workers_M, timings.local_batch_M, timings.num_bytes, per_node)
        total = _normal(timings.log_seconds_M - np.log(told.seconds), np.hypot(widths, misfit))
        if len(timings.sum_workers_R):
            sums = sum_seconds(draws, timings.sum_workers_R, timings.sum_bytes_R, sum_per_node)
            # A sum's time depends on its size in more ways than latency and bandwidth: a misfit of its own.
            total = total + _normal(timings.log_sum_seconds_R - np.log(sums), np.hypot(sum_widths, sum_misfit))
        return total

    z = draw_posterior(log_likelihood, NUM_COORDINATES, rng, num_moves=NUM_MOVES)
    draws_of = _parameters(z, reference, timings.jitter, within, between)
    told = step_parts(draws_of, timings.num_workers_M, timings.local_batch_M, timings.num_bytes, per_node)
    missed = _missed(timings, np.median(told.seconds, axis=0))
    misfit_D = np.maximum(_misfit(z[:, 12]), missed)
    most = float(timings.num_workers_M.max())
    fits = f"times fit within {100 * float(np.median(misfit_D)):.0f} %; "
    if missed > MAX_MISFIT:
        verdict: Verdict = "no-law"
        reason = (
            f"the formula misses the measured times by {100 * missed:.0f} %: something else than compute and "
            "communication changes them (other devices, another load, times of several kinds in one column?), and what "
            "it predicts is no more certain than that"
        )
    elif timings.has_synchronised:
        verdict = "ok"
        reason = f"{fits}up to {most:.0f} workers were timed, beyond that they are predicted"
        if timings.workers_per_node is not None and not timings.has_joined_nodes:
            reason += "; no two nodes were timed, so what joins nodes is known from data sheets alone"
    else:
        verdict = "no-law"
        reason = f"{fits}no two devices were timed, so what synchronising takes is known only from machines in general"
    return StepTimeLaw(
        draws_of=draws_of,
        misfit_D=misfit_D * rng.standard_normal(len(z)),
        drift_D2=rng.standard_normal((len(z), 2)),
        num_bytes=timings.num_bytes, workers_per_node=timings.workers_per_node, most_workers=most,
        drift=DRIFT if _checked(timings) else UNCHECKED_DRIFT,
        verdict=verdict, reason=reason,
        fitted_on={
            "local_batch_size": sorted(set(timings.local_batch_M.astype(int).tolist())),
            "num_workers": sorted(set(timings.num_workers_M.astype(int).tolist())),
            "workers_per_node": timings.workers_per_node,
            "device": device,
        },
        links=measured_links(timings), synchronised=timings.has_synchronised,
    )  # fmt: skip


def _missed(timings: Timings, seconds_M: Array) -> float:
    """Root mean square in log of what ``seconds_M`` miss the timed steps by, beyond the timings' own scatter."""
    square_M = (timings.log_seconds_M - np.log(seconds_M)) ** 2 - timings.width_M**2
    return float(np.sqrt(np.maximum(square_M, 0.0).mean()))


def _checked(timings: Timings) -> bool:
    """Whether more was timed than the formula needs to be drawn through it."""
    return len(timings.sum_workers_R) > 0 or len(set(timings.num_workers_M.tolist())) >= CHECKED_COUNTS


def _parameters(
    z: Array, reference: tuple[float, float], jitter: float | None, within: Interconnect, between: Interconnect
) -> StepTimeParameters:
    """Plain numbers of standard normal coordinates, shape (D, NUM_COORDINATES)."""
    log_seconds, local_batch = reference
    whole = np.exp(log_seconds - 0.05 + 0.4 * z[:, 0:1])
    fixed_share = expit(-2.6 + _far(z[:, 1:2]))
    slope = (1 - fixed_share) * whole / local_batch
    return StepTimeParameters(
        fixed_seconds=fixed_share * whole,
        seconds_an_example=slope,
        saturation=1 + np.exp(-2.5 + 1.2 * z[:, 2:3]),
        latency_seconds=within.latency_seconds * np.exp(within.spread * _far(z[:, 3:4])),
        seconds_a_byte=np.exp(within.spread * _far(z[:, 4:5])) / within.bytes_per_second,
        node_latency_seconds=between.latency_seconds * np.exp(between.spread * _far(z[:, 5:6])),
        node_seconds_a_byte=np.exp(between.spread * _far(z[:, 6:7])) / between.bytes_per_second,
        ring_share=ndtr(-1.0 + 1.2 * z[:, 7:8]),
        contention=np.exp(0.5 * np.abs(z[:, 8:9])),
        overlap=1 + np.exp(1.0 * z[:, 9:10]),
        jitter=0.02 * np.exp(0.8 * z[:, 10:11]) if jitter is None else jitter * np.exp(0.2 * z[:, 10:11]),
        input_seconds_an_example=slope * np.exp(-10.0 + 1.5 * z[:, 11:12]),
    )


def _far(z: Array) -> Array:
    """As the normal distribution in the middle with longer tails, for what data may show to be far from usual."""
    return np.asarray(np.sinh(0.6 * np.clip(z, -6, 6)) / 0.6)


def _misfit(z: Array) -> Array:
    return np.asarray(MISFIT * np.exp(MISFIT_SPREAD * z))


def _normal(miss: Array, width: Array) -> Array:
    return np.asarray((-0.5 * (miss / width) ** 2 - np.log(width)).sum(axis=1))
