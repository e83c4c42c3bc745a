"""Seconds that each searcher takes to propose, after 10, 100 and 1,000 trials: medians of 5 (lowest to highest).

python benchmarks/ask_seconds.py
"""

import math
import statistics
import time

import numpy as np

from largebatch.search.searcher import Searcher
from largebatch.search.searchers.cbo import DeepHyperCBO
from largebatch.search.searchers.cma_es import CmaEs
from largebatch.search.searchers.gp import OptunaGP
from largebatch.search.searchers.grid import Grid
from largebatch.search.searchers.guided.guided import Guided
from largebatch.search.searchers.halton import Halton
from largebatch.search.searchers.tpe import OptunaTPE
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Outcome, Trial

COUNTS, REPEATS = (10, 100, 1_000), 5
TARGET = Target(metric="val_loss", below=0.1)
SPACE = Space.model_validate(
    {
        "global_batch_size": {"low": 16, "high": 1024, "scale": "log2"},
        "learning_rate": {"low": 0.001, "high": 1.0, "scale": "log"},
        "optimizer": {"choices": ["nesterov", "adamw"]},
        "momentum": {"low": 0.8, "high": 0.99, "scale": "log1m", "when": {"optimizer": ["nesterov"]}},
        "warmup_fraction": {"low": 0.0, "high": 0.3},
        "norm_batch_size": 16,
    }
)


class Seconds:
    """A fixed part a step, the rest shared by the workers."""

    workers = (1, 2, 4, 8, 16, 32, 64)

    def log_seconds(self, global_batch_size: int) -> np.ndarray:
        """See ``StepSeconds``."""
        return np.log(32 + global_batch_size / np.array(self.workers))

    def alone(self, global_batch_size: int) -> float:
        """See ``StepSeconds``."""
        return 32.0 + global_batch_size


SEARCHERS: dict[str, Searcher] = {
    "grid": Grid(points_per_range=5),
    "halton": Halton(),
    "optuna-tpe": OptunaTPE(TARGET, "square-root"),
    "optuna-gp": OptunaGP(TARGET, "square-root"),
    "optuna-cmaes": CmaEs(TARGET, "square-root"),
    "deephyper-cbo": DeepHyperCBO(TARGET, "square-root"),
    "guided": Guided(TARGET, Seconds(), 100_000),
}


def trained(number: int, recipe: Recipe) -> Trial:
    """A valley with noise; one trial in five does not reach the target."""
    rng = np.random.default_rng(number)
    size = recipe.global_batch_size
    offset = math.log(recipe.effective_learning_rate * (1 + 100 / size))
    steps = 40 * (1 + 100 / size) * math.exp(min(offset**2, 5.0) + 0.05 * rng.standard_normal())
    reached = number % 5 > 0
    examples = int(steps * size)
    ending = Ending(
        outcome=Outcome.REACHED if reached else Outcome.STOPPED, step=int(steps), examples=examples, seconds=1.0,
        steps_to_target=steps if reached else None,
    )  # fmt: skip
    curve = {0: 1.0, examples // 2: 0.2, examples: 0.1 if reached else 0.15}
    return Trial(number=number, recipe=recipe, num_devices=1, running=False, intermediate=curve, ending=ending)


def main() -> None:
    """Time each searcher."""
    history: list[Trial] = []
    for number in range(max(COUNTS)):
        history.append(trained(number, Halton().ask(SPACE, history, 0).recipe))
    print(f"{'trials':>14}" + "".join(f"{count:>24,}" for count in COUNTS))
    for name, searcher in SEARCHERS.items():
        cells = []
        for count in COUNTS:
            seconds = []
            for seed in range(REPEATS):
                began = time.perf_counter()
                searcher.ask(SPACE, history[:count], seed)
                seconds.append(time.perf_counter() - began)
            cells.append(f"{statistics.median(seconds):8.3f} ({min(seconds):.3f}-{max(seconds):.3f})")
        print(f"{name:>14}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
