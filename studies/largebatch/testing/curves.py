"""Trainings by laws that are known: a curve over examples, a valley over batch sizes and learning rates."""

import math
from dataclasses import dataclass
from typing import Any

from largebatch.spaces.trial import Outcome, Trial
from largebatch.testing.made_up_trial import make_trial


def falling_curve(examples_to_target: float, until: float = 1.0, *, evaluations: int = 20) -> dict[int, float]:
    """A loss that falls from 2 as 1 / examples and is 0.1 at ``examples_to_target``, where the last evaluation is.

    Seen up to a share ``until`` of it.
    """
    measured = range(1, int(evaluations * until) + 1)
    falling = {round(k * examples_to_target / evaluations): min(2.0, 0.1 * evaluations / k) for k in measured}
    return {0: 2.0} | falling


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUpValley:
    """Steps to the target: ``s_min (1 + b_crit / B)`` at the best rate ``lr_max / (1 + b_noise / B)``, more beside it.

    Squared in the logarithm of the rate.
    """

    s_min: float = 40.0
    b_crit: float = 100.0
    lr_max: float = 1.0
    b_noise: float = 80.0

    def best_rate(self, global_batch_size: int) -> float:
        """Where the steps are the fewest."""
        return self.lr_max / (1 + self.b_noise / global_batch_size)

    def steps(self, global_batch_size: int, learning_rate: float) -> float:
        """Steps to the target."""
        apart = math.log(learning_rate / self.best_rate(global_batch_size))
        return self.s_min * (1 + self.b_crit / global_batch_size) * math.exp(0.5 * apart**2)

    def trial(
        self,
        number: int,
        global_batch_size: int,
        learning_rate: float,
        *,
        luck: float = 1.0,
        max_examples: float = math.inf,
        **values: Any,
    ) -> Trial:
        """A trial that took ``luck`` times the steps of the law, or used up ``max_examples`` before.

        ``values`` are others of its recipe.
        """
        steps, most = luck * self.steps(global_batch_size, learning_rate), max_examples / global_batch_size
        reached = steps <= most
        step = math.ceil(steps) if reached else int(most)
        return make_trial(
            number,
            outcome=Outcome.REACHED if reached else Outcome.EXHAUSTED,
            steps_to_target=steps if reached else None,
            step=step,
            seconds=0.01 * step,
            curve={step * global_batch_size: 0.96 if reached else 0.5},
            global_batch_size=global_batch_size,
            learning_rate=learning_rate,
            **values,
        )
