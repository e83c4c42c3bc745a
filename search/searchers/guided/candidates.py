"""The recipes that are weighed against one another: every batch size, the rates that may be best there, the rest."""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from largebatch.spaces.domain import Choice, Domain, Value
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Outcome, Trial

Array = NDArray[np.float64]

QUANTILES = (0.03, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
"""Of the place of the best rate, for candidates."""
NUM_RANDOM = 6
"""Random combinations of the other hyper-parameters."""
STRETCH = 4.0
"""The range of rates is stretched by this factor at an end where the best trial lies within ``AT_EDGE`` of it."""
AT_EDGE = 1.3
WILD = (Outcome.DIVERGED, Outcome.FAILED)
_LAWFUL = ("global_batch_size", "learning_rate", "optimizer", "adaptive", "seed")


def extras_of(space: Space) -> dict[str, Domain]:
    """What varies beside what the laws speak of."""
    return {name: domain for name, domain in space.varying.items() if name not in _LAWFUL}


def kinds_of(space: Space) -> list[dict[str, Value]]:
    """Every combination of optimizer and adaptation that the space holds."""
    optimizers = space.root["optimizer"].grid(1) if "optimizer" in space.root else [None]
    adaptations = space.root["adaptive"].grid(1) if "adaptive" in space.root else [None]
    return [
        {name: value for name, value in (("optimizer", first), ("adaptive", second)) if value is not None}
        for first in optimizers
        for second in adaptations
    ]


def middle_values(space: Space) -> dict[str, Value]:
    """The middle of every domain."""
    return {name: domain.grid(1)[0] for name, domain in space.root.items()}


def rate_bounds(space: Space, best: Trial | None) -> tuple[float, float]:
    """The rates to try: the space's, stretched where the best trial of a batch size lies at an end of them."""
    domain = space.root["learning_rate"]
    if isinstance(domain, Choice):
        rates = [float(value) for value in domain.choices]
        return min(rates), max(rates)
    low, high = domain.low, domain.high
    if best is not None and domain.scale == "log":
        if best.recipe.learning_rate > high / AT_EDGE:
            high *= STRETCH
        if best.recipe.learning_rate < low * AT_EDGE:
            low /= STRETCH
    return low, high


def combinations(
    space: Space, kind: dict[str, Value], known: Sequence[Recipe], rng: np.random.Generator
) -> Iterator[dict[str, Value]]:
    """Values of all but batch size and rate: the middle, those of ``known`` recipes, and random ones."""
    middle = middle_values(space) | kind
    yield middle
    extras = extras_of(space)
    if not extras:
        return
    for recipe in known:
        yield middle | {name: value for name in extras if (value := getattr(recipe, name, None)) is not None}
    for _ in range(NUM_RANDOM):
        yield middle | {name: domain.from_unit(float(rng.random())) for name, domain in extras.items()}


def recipes_at(
    space: Space, size: int, values: dict[str, Value], place_D: Array, bounds: tuple[float, float]
) -> Iterator[Recipe]:
    """Recipes at one batch size, their rates spread over where the best may be."""
    domain = space.root["learning_rate"]
    at = space.recipe({**values, "global_batch_size": size, "learning_rate": domain.grid(1)[0]})
    damping = at.learning_rate / at.effective_learning_rate
    listed = domain.values()
    if listed is not None:
        rates = [float(value) for value in listed]
    else:
        wanted = damping * np.exp(np.quantile(place_D, QUANTILES))
        rates = sorted(set(np.clip(wanted, *bounds).tolist()))
    for rate in rates:
        yield at.model_copy(update={"learning_rate": rate})


def middle_rate(space: Space, size: int, values: dict[str, Value], trials: Sequence[Trial], power: float) -> Recipe:
    """Before any trial reached the target: a rate in the middle of the widest gap below those that diverged.

    The rates of other batch sizes are moved here by a power of the batch size.
    """
    low, high = rate_bounds(space, None)
    moved = [(trial.recipe.learning_rate * (size / trial.recipe.global_batch_size) ** power, trial) for trial in trials]
    wild = [rate for rate, trial in moved if trial.ending is not None and trial.ending.outcome in WILD]
    top = min([high, *(rate for rate in wild if rate > low)])
    marks = sorted([math.log(low), math.log(top), *(math.log(r) for r, _ in moved if low < r < top)])
    first, second = max(itertools.pairwise(marks), key=lambda pair: pair[1] - pair[0])
    rate = math.exp((first + second) / 2)
    listed = space.root["learning_rate"].values()
    if listed is not None:
        rate = min((float(value) for value in listed), key=lambda value: abs(math.log(value / rate)))
    return space.recipe({**values, "global_batch_size": size, "learning_rate": rate})
