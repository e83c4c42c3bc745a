"""Quasi-random search: the scrambled Halton sequence over the unit cube of the space.

Reference: Halton (1960), Numerische Mathematik 2:84; scrambling: Owen (2017), arXiv 1706.02808. Bousquet et al. (2017),
arXiv 1706.03200, compare it with random search for hyper-parameters.
"""

from collections.abc import Sequence

from scipy.stats import qmc

from largebatch.search.searcher import Proposal
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Trial


class Halton:
    """Point ``len(trials)`` of the sequence; what was measured does not matter."""

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal:
        """See ``Searcher``."""
        sequence = qmc.Halton(d=len(space.root), scramble=True, rng=seed)
        sequence.fast_forward(len(trials))
        (point,) = sequence.random(1)
        recipe = space.from_unit(dict(zip(space.root, point.tolist(), strict=True)))
        return Proposal(recipe, f"point {len(trials)} of the Halton sequence")
