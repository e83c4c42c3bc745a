"""Studies made up from known laws."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Outcome, Trial

MakeTrials = Callable[..., list[Trial]]
SIZES = (16, 32, 64, 128, 256, 512, 1024)


def trial(number: int, size: int, rate: float, steps: float, max_steps: float, momentum: float = 0.0) -> Trial:
    reached = steps <= max_steps
    step = math.ceil(steps) if reached else int(max_steps)
    ending = Ending(
        outcome=Outcome.REACHED if reached else Outcome.EXHAUSTED,
        step=step,
        examples=step * size,
        seconds=0.01 * step,
        steps_to_target=steps if reached else None,
    )
    recipe = Recipe(global_batch_size=size, learning_rate=rate, norm_batch_size=16, momentum=momentum)
    value = {step * size: 0.96 if reached else 0.5}
    return Trial(number=number, recipe=recipe, num_devices=1, running=False, intermediate=value, ending=ending)


@pytest.fixture(scope="session")
def make_trials() -> MakeTrials:
    def make(
        *,
        seed: int,
        s_min: float = 40.0,
        b_crit: float = 100.0,
        lr_max: float = 1.0,
        b_noise: float = 80.0,
        noise: float = 0.15,
        sizes: Sequence[int] = SIZES,
        trials_per_size: int = 8,
        max_examples: float = 100_000,
        momentum: float = 0.0,
    ) -> list[Trial]:
        """Trials on a valley with floor s_min (1 + b_crit / B) at rate lr_max / (1 + b_noise / B)."""
        rng = np.random.default_rng(seed)
        trials: list[Trial] = []
        for size in sizes:
            best = lr_max / (1 + b_noise / size)
            for place in rng.uniform(-1.5, 1.5, trials_per_size):
                floor = s_min * (1 + b_crit / size)
                steps = floor * math.exp(0.5 * place**2 + noise * rng.standard_normal())
                rate = best * math.exp(place)
                trials.append(trial(len(trials), size, rate, steps, max_examples / size, momentum))
        return trials

    return make
