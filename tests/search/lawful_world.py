"""A made-up task that keeps the laws: steps fall as a hyperbola of B, the best rate grows with it and saturates."""

import math
from dataclasses import dataclass, replace

import numpy as np

from largebatch.schedulers.trial.scheduler import Scheduler
from largebatch.search.searcher import Searcher
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Ending, Outcome, Trial

TARGET = Target(metric="val_loss", below=0.1)
MAX_EXAMPLES = 100_000
SIZES = (16, 32, 64, 128, 256, 512)
WORKERS = (1, 4, 16)
SPACE = Space.model_validate(
    {
        "global_batch_size": {"choices": list(SIZES)},
        "learning_rate": {"low": 0.003, "high": 10.0, "scale": "log"},
        "norm_batch_size": 16,
    }
)


class Seconds:
    """A step costs a fixed part and its examples, shared by the workers."""

    workers = WORKERS

    def log_seconds(self, global_batch_size: int) -> np.ndarray:
        """See ``StepSeconds``."""
        groups = global_batch_size // 16
        return np.array(
            [math.log(32 + global_batch_size / count) if groups % count == 0 else math.inf for count in WORKERS]
        )

    def alone(self, global_batch_size: int) -> float:
        """See ``StepSeconds``."""
        return 32.0 + global_batch_size


@dataclass(frozen=True)
class World:
    """``names`` maps a batch size to the one whose steps it takes: a permutation of them breaks every law."""

    noise: float = 0.05
    names: tuple[int, ...] = SIZES
    best_rate: float = 0.4

    def steps(self, recipe: Recipe) -> float:
        """Steps to the target without noise."""
        size = self.names[SIZES.index(recipe.global_batch_size)]
        best = self.best_rate / (1 + 100 / size)
        offset = math.log(recipe.learning_rate / best)
        rise = 0.3 * (math.exp(min(3 * offset, 50)) - 3 * offset - 1)
        return 40 * (1 + 100 / size) * math.exp(min(rise, 20))

    def train(
        self, number: int, recipe: Recipe, rng: np.random.Generator, scheduler: Scheduler, past: list[Trial]
    ) -> Trial:
        """A training whose loss falls as a power of its progress to the target."""
        steps = self.steps(recipe) * math.exp(self.noise * rng.standard_normal())
        size = recipe.global_batch_size
        trial = Trial(number=number, recipe=recipe, num_devices=1, running=True, intermediate={0: 1.0})
        ending = None
        for examples in range(1_000, MAX_EXAMPLES + 1_000, 1_000):
            loss = min(1.0, 0.1 * (steps * size / examples) ** 0.7)
            trial = replace(trial, intermediate={**trial.intermediate, examples: loss})
            if loss <= 0.1:
                reached = {"steps_to_target": steps, "examples_to_target": steps * size}
                ending = Ending(outcome=Outcome.REACHED, step=int(steps), examples=examples, seconds=1.0, **reached)
                break
            if scheduler.decide(trial, [*past, trial]).action == "stop":
                ending = Ending(outcome=Outcome.STOPPED, step=examples // size, examples=examples, seconds=1.0)
                break
        if ending is None:
            ending = Ending(outcome=Outcome.EXHAUSTED, step=MAX_EXAMPLES // size, examples=MAX_EXAMPLES, seconds=1.0)
        return replace(trial, running=False, ending=ending)

    def search(self, searcher: Searcher, scheduler: Scheduler, num_trials: int, seed: int) -> list[Trial]:
        """A study."""
        rng = np.random.default_rng(seed)
        trials: list[Trial] = []
        while len(trials) < num_trials and (proposal := searcher.ask(SPACE, trials, seed)) is not None:
            trials.append(self.train(len(trials), proposal.recipe, rng, scheduler, trials))
        return trials

    def regret(self, trials: list[Trial]) -> float:
        """Mean over worker counts of log(true time of the best observed trial / the least possible)."""
        seconds, misses = Seconds(), []
        for w in range(len(WORKERS)):
            best = min(
                math.log(self.steps(Recipe(global_batch_size=size, learning_rate=rate))) + seconds.log_seconds(size)[w]
                for size in SIZES
                for rate in np.geomspace(0.003, 10, 200).tolist()
            )
            reached = [
                t for t in trials if t.reached and math.isfinite(seconds.log_seconds(t.recipe.global_batch_size)[w])
            ]
            if not reached:
                return math.inf
            chosen = min(
                reached,
                key=lambda t: math.log(t.steps_to_target or 1) + seconds.log_seconds(t.recipe.global_batch_size)[w],
            )
            time = math.log(self.steps(chosen.recipe)) + seconds.log_seconds(chosen.recipe.global_batch_size)[w]
            misses.append(time - best)
        return float(np.mean(misses))
