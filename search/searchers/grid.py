"""Grid search: every combination of evenly spaced values, one batch size after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from largebatch.search.searcher import Proposal
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial


@dataclass(frozen=True, slots=True)
class Grid:
    """The first combination that no trial has; the seed does not matter."""

    points_per_range: int

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal | None:
        """See ``Searcher``; None after the last combination."""
        del seed
        tried = {trial.recipe.model_copy(update={"seed": 0}) for trial in trials}
        for number, recipe in enumerate(space.grid(self.points_per_range)):
            if recipe.model_copy(update={"seed": 0}) not in tried:
                return Proposal(recipe, f"combination {number} of the grid")
        return None
