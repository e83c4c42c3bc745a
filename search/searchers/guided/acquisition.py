"""How much a trial may improve the plan: expected improvement, summed over worker counts, a second of its own.

Improvement of log(time to target) is taken draw by draw against the recipe that the plan would name now, so that what
all batch sizes share (the task is slower than thought) is no gain. Trials that still run count as if they had ended:
each draw knows what they will say (as in the q-expected improvement of Ginsbourger et al. 2010).

Notation: D draws, C candidates, W worker counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNPLANNED = 1.0
"""Where no recipe is known for a worker count, as much better is any than the typical candidate (in log)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """Expected improvements of log(time) at each worker count, shape (C, W), and the seconds that each trial takes."""

    gain_CW: Array
    seconds_C: Array

    @property
    def mean(self) -> Array:
        """Averaged over the worker counts."""
        return np.asarray(self.gain_CW.mean(axis=1))

    @property
    def best(self) -> int:
        """The candidate of the most gain a second."""
        return int(np.argmax(self.mean / self.seconds_C))


def expected_gains(
    log_steps_DC: Array, step_logs_CW: Array, tried: NDArray[np.int64], running: NDArray[np.int64], seconds_C: Array
) -> Gains:
    """Gains of all candidates; ``tried`` and ``running`` index candidates that trials have or will have measured."""
    gain_CW = np.zeros(step_logs_CW.shape)
    for w, step_log_C in enumerate(step_logs_CW.T):
        can = np.isfinite(step_log_C)
        if not can.any():
            continue
        known = tried[can[tried]]
        if len(known):
            means = log_steps_DC[:, known].mean(axis=0) + step_log_C[known]
            best = known[int(np.argmin(means))]
            now_D = log_steps_DC[:, best] + step_log_C[best]
        else:
            means = log_steps_DC[:, can].mean(axis=0) + step_log_C[can]
            now_D = np.full(len(log_steps_DC), means.min() + UNPLANNED)
        soon = running[can[running]]
        if len(soon):
            now_D = np.minimum(now_D, (log_steps_DC[:, soon] + step_log_C[soon]).min(axis=1))
        time_DC = log_steps_DC[:, can] + step_log_C[can]
        gain_CW[can, w] = np.maximum(now_D[:, None] - time_DC, 0.0).mean(axis=0)
    return Gains(gain_CW=gain_CW, seconds_C=seconds_C)
