"""CMA-ES, the covariance matrix adaptation evolution strategy, by the library that Optuna uses too.

Reference: Hansen, Ostermeier (2001), Evol. Comput. 9:159; library: Nomura, Shibata (2024), arXiv 2402.01373.
Its state is rebuilt from the record at each ask, generation by generation in the order of the trials' numbers, which
Optuna's own sampler cannot (it keeps it with the trials that it proposed itself). Choices are rounded from a unit
coordinate, what does not exist is at its middle, and the batch size is dealt out, for no generation would live long
enough at each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cmaes import CMA

from largebatch.search.searcher import Proposal, next_batch_size
from largebatch.search.searchers.coordinates import UNKNOWN, Coordinates, objectives
from largebatch.search.searchers.halton import Halton
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

FIRST_STEP = 0.25
"""Standard deviation of the first generation, of unit ranges."""


@dataclass(frozen=True, slots=True)
class CmaEs:
    """Generations of ended trials; those that run are in none yet, and each ask draws anew."""

    target: Target
    learning_rate_rule: str

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal:
        """See ``Searcher``. A space with fewer than two varying hyper-parameters beside the batch size is Halton's."""
        coordinates = Coordinates(space, self.learning_rate_rule)
        names = [name for name in coordinates.domains if name != "global_batch_size"]
        if len(names) < 2:
            return Halton().ask(space, trials, seed)
        size = next_batch_size(space, trials, seed)
        strategy = CMA(
            mean=np.full(len(names), 0.5), sigma=FIRST_STEP, bounds=np.array([[0.0, 1.0]] * len(names)),
            seed=seed + len(trials),
        )  # fmt: skip
        told = []
        for trial, value in zip(trials, objectives(trials, self.target), strict=True):
            if value is not None:
                units = coordinates.to_unit(trial.recipe)
                told.append((np.array([units[name] for name in names]), value))
        whole = len(told) // strategy.population_size * strategy.population_size
        for start in range(0, whole, strategy.population_size):
            if not strategy.should_stop():
                strategy.tell(told[start : start + strategy.population_size])
        units = dict(zip(names, strategy.ask().tolist(), strict=True))
        recipe = coordinates.from_unit({**units, "global_batch_size": UNKNOWN}, size)
        number = len(told) // strategy.population_size
        return Proposal(recipe, f"of generation {number} of CMA-ES, at batch size {size}, whose turn it is")
