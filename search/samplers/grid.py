"""Grid search: every combination of evenly spaced values, one batch size after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from largebatch.search.searcher import Proposal
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial


@dataclass(frozen=True, slots=True)
class Grid:
    """Combination ``len(trials)`` of the grid; the seed does not matter."""

    points_per_range: int

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal | None:
        """See ``Searcher``; None after the last combination."""
        del seed
        recipe = next(islice(space.grid(self.points_per_range), len(trials), None), None)
        return None if recipe is None else Proposal(recipe, f"combination {len(trials)} of the grid")
