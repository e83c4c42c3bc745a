"""DeepHyper's CBO: an ensemble of extremely randomised trees and an upper confidence bound, asked and told anew.

Reference: Balaprakash et al. (2018), DeepHyper, doi:10.1109/HiPC.2018.00014; Egele et al. (2023), arXiv 2207.00479.
The batch size is a coordinate of its model; a proposal is moved to the batch size whose turn it is, its departure from
the rule unchanged. Running trials are told as middling ones. It is told the best and the latest ``MAX_TOLD`` trials,
and optimises its acquisition by sampling: with its genetic algorithm a single ask takes a second.
"""

import contextlib
import io
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from largebatch.search.searcher import Proposal, next_batch_size
from largebatch.search.searchers.coordinates import Coordinates, objectives, telling
from largebatch.search.searchers.halton import Halton
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

MAX_TOLD = 400


@dataclass(frozen=True, slots=True)
class DeepHyperCBO:
    """Every coordinate is always told, with the middle of what does not exist: a missing one is an error there."""

    target: Target
    learning_rate_rule: str

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal:
        """See ``Searcher``. The first trials, two for each batch size, are Halton's."""
        if len(trials) < 2 * len(space.batch_sizes):
            return Halton().ask(space, trials, seed)
        size = next_batch_size(space, trials, seed)
        coordinates = Coordinates(space, self.learning_rate_rule)
        told = telling(trials, objectives(trials, self.target), MAX_TOLD)
        results = [(coordinates.to_unit(trial.recipe), -value) for trial, value in told]
        units = _proposed(list(coordinates.domains), results, seed + len(trials))
        recipe = coordinates.from_unit(units, size)
        return Proposal(recipe, f"DeepHyper's proposal, at batch size {size}, whose turn it is")


def _proposed(names: Sequence[str], results: list[tuple[dict[str, float], float]], seed: int) -> dict[str, Any]:
    from deephyper.hpo import CBO, HpProblem

    problem = HpProblem()
    for name in names:
        problem.add_hyperparameter((0.0, 1.0), name)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of its dependencies, on every fit
        search = CBO(
            problem, random_state=seed, log_dir=os.path.join(folder, "log"), checkpoint_history_to_csv=False,
            acq_optimizer="sampling", n_initial_points=1, verbose=0,
        )  # fmt: skip
        search.tell(results)
        units: dict[str, Any] = search.ask(1)[0]
    return units
