"""Studies made up from known laws."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from largebatch.spaces.trial import Trial
from largebatch.testing import MadeUpValley

MakeTrials = Callable[..., list[Trial]]
SIZES = (16, 32, 64, 128, 256, 512, 1024)


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
        valley = MadeUpValley(s_min=s_min, b_crit=b_crit, lr_max=lr_max, b_noise=b_noise)
        trials: list[Trial] = []
        for size in sizes:
            for place in rng.uniform(-1.5, 1.5, trials_per_size):
                rate, luck = valley.best_rate(size) * math.exp(place), math.exp(noise * rng.standard_normal())
                trials.append(
                    valley.trial(
                        len(trials), size, rate, luck=luck, max_examples=max_examples, norm_batch_size=16,
                        momentum=momentum,
                    )
                )  # fmt: skip
        return trials

    return make
