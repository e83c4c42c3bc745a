"""The candidates of one ask, weighed: which recipe each worker count would use now, and why one is proposed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from largebatch.search.searchers.guided.acquisition import Gains
from largebatch.spaces.number_text import format_number
from largebatch.spaces.recipe import Recipe

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weighed:
    """Candidates: ``num_new`` proposals, then ``num_tried`` recipes that reached the target, then those of running
    trials. ``logs_DC`` are draws of log(steps), ``step_logs_CW`` the log of a step's seconds at each worker count."""

    recipes: list[Recipe]
    num_new: int
    num_tried: int
    logs_DC: Array
    step_logs_CW: Array
    gains: Gains
    num_trials: int

    def incumbents(self) -> dict[int, Recipe]:
        """By index of the worker count: of the recipes that reached the target, the one expected to take least."""
        tried = slice(self.num_new, self.num_new + self.num_tried)
        time_CW = self.logs_DC[:, tried].mean(axis=0)[:, None] + self.step_logs_CW[tried]
        best_W = np.argmin(time_CW, axis=0).tolist()
        return {w: self.recipes[self.num_new + c] for w, c in enumerate(best_W) if np.isfinite(time_CW[c, w])}

    def why(self, candidate: int, workers: Sequence[int]) -> str:
        """The reason of a proposal in a sentence."""
        low, middle, high = np.exp(np.quantile(self.logs_DC[:, candidate], (0.05, 0.5, 0.95)))
        gain_W = self.gains.gain_CW[candidate]
        served = [str(count) for count, gain in zip(workers, gain_W, strict=True) if gain > 0.5 * gain_W.max()]
        return (
            f"the laws of {self.num_trials} trials expect {format_number(middle)} steps ({format_number(low)} to "
            f"{format_number(high)}); the plan at "
            f"{', '.join(served)} workers would gain {format_number(100 * gain_W.max(), 2)} % on average, for "
            f"{format_number(self.gains.seconds_C[candidate], 2)} s of training"
        )
