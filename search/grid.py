"""Grid search: every combination of evenly spaced values, one batch size after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial


@dataclass(frozen=True, slots=True)
class Grid:
    """Combination ``len(trials)`` of the grid; the seed does not matter."""

    points_per_range: int

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Recipe | None:
        """See ``Searcher``; None after the last combination."""
        del seed
        return next(islice(space.grid(self.points_per_range), len(trials), None), None)
