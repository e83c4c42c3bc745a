"""Studies evaluated rarely: does the law's interval hold the truth? python benchmarks/laws/evaluation_interval.py

Twelve simulated studies a distance of evaluations: 7 batch sizes, 6 trials each at rates about the best, steps
40 (1 + 100 / B) at it, trainings 10 % apart, losses that fall as a power of the steps. Prints in how many studies with
a law its 90 % interval held the truth at batch sizes 16, 64, 256 and 1,024, with passages as intervals and, as a
comparison, with interpolated steps taken as exact.
"""

import math
from dataclasses import replace

import numpy as np

from largebatch.search.laws.fit_laws import fit_laws
from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.trial import Ending, Outcome, Trial

SIZES, ASKED = (16, 32, 64, 128, 256, 512, 1024), np.array([16.0, 64.0, 256.0, 1024.0])
TRUTH = 40 * (1 + 100 / ASKED)
NUM_STUDIES = 12


def study(seed: int, interval: int) -> list[Trial]:
    """One study, evaluated every ``interval`` examples."""
    rng, trials = np.random.default_rng(seed), []
    for size in SIZES:
        for place in rng.uniform(-1.5, 1.5, 6):
            steps = 40 * (1 + 100 / size) * math.exp(0.5 * place**2 + 0.1 * rng.standard_normal())
            rate = math.exp(place) / (1 + 80 / size)
            trials.append(_trial(len(trials), size, rate, steps, interval))
    return trials


def _trial(number: int, size: int, rate: float, steps: float, interval: int) -> Trial:
    before, step, first, last = 0, 0, 1.0, 1.0
    while last > 0.1:
        before, step = step, math.ceil((step * size // interval + 1) * interval / size)
        first, last = last, min(1.0, 0.1 * (steps / step) ** 0.7)
    middle = before + (0.1 - first) / (last - first) * (step - before)
    ending = Ending(
        outcome=Outcome.REACHED, step=step, examples=step * size, seconds=1.0, steps_to_target=middle,
        steps_low=before, steps_high=step,
    )  # fmt: skip
    recipe = Recipe(global_batch_size=size, learning_rate=rate, norm_batch_size=16, momentum=0.0)
    return Trial(number=number, recipe=recipe, num_devices=1, running=False, intermediate={}, ending=ending)


def exact(trial: Trial) -> Trial:
    """As if the target had been met where the straight line says."""
    assert trial.ending is not None
    steps = trial.ending.steps_to_target
    return replace(trial, ending=replace(trial.ending, steps_low=steps, steps_high=steps))


def held(studies: list[list[Trial]]) -> str:
    """In how many of the laws, by batch size."""
    found = []
    for trials in studies:
        try:
            law = fit_laws(trials, None).steps
        except UserError:
            continue
        if law.verdict != "no-law":
            told = law.predict(ASKED)
            found.append((told.low <= TRUTH) & (told.high >= TRUTH))
    counts = ", ".join(str(int(number)) for number in np.sum(found, axis=0)) if found else "-"
    return f"{counts} of {len(found)} laws"


def main() -> None:
    """Print a line a distance."""
    for interval in (64, 1_000, 4_000, 8_000, 16_000):
        studies = [study(seed, interval) for seed in range(NUM_STUDIES)]
        as_exact = held([[exact(trial) for trial in trials] for trials in studies])
        print(f"every {interval:6,} examples: {held(studies)}; taken as exact {as_exact}")


if __name__ == "__main__":
    main()
