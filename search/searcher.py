"""What every searcher is: one pure function."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial


@dataclass(frozen=True, slots=True)
class Proposal:
    """A recipe to try and, in a sentence, why."""

    recipe: Recipe
    why: str


class Searcher(Protocol):
    """Proposes the next recipe. ``ask`` changes nothing: the same arguments give the same answer, on any machine."""

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal | None:
        """The recipe of trial ``len(trials)``, or None where the searcher has no more to propose.

        Args:
            space: Where to search.
            trials: All trials so far in the order of their numbers, the running ones too.
            seed: The study's seed.
        """


def next_batch_size(space: Space, trials: Sequence[Trial], seed: int) -> int:
    """The batch size whose turn it is: the one with the fewest trials, ties in an order that the seed shuffles.

    A law across batch sizes needs all of them measured, so the batch size is dealt out rather than optimised.
    """
    sizes = np.random.default_rng(seed).permutation(space.batch_sizes)
    counts = [sum(trial.recipe.global_batch_size == size for trial in trials) for size in sizes]
    return int(sizes[int(np.argmin(counts))])
