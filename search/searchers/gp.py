"""Optuna's Gaussian process (Matern kernel, log expected improvement), given one batch size at a time.

Reference: Ament et al. (2023), arXiv 2310.20708, for the acquisition; Rasmussen, Williams (2006) for the process.
The batch size is a coordinate of the model; a proposal is moved to the batch size whose turn it is, its departure from
the rule unchanged. The process is told the best and the latest ``MAX_TOLD`` trials: its cost grows as their cube, and
at 1,000 it would take over 4 seconds to ask.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution

from largebatch.search.searcher import Proposal, next_batch_size
from largebatch.search.searchers.coordinates import Coordinates, objectives, telling
from largebatch.search.searchers.halton import Halton
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

MAX_TOLD = 120


@dataclass(frozen=True, slots=True)
class OptunaGP:
    """Running trials are told as middling ones (constant liar), so that proposals at once differ."""

    target: Target
    learning_rate_rule: str

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal:
        """See ``Searcher``. The first trials, two for each batch size, are Halton's."""
        if len(trials) < 2 * len(space.batch_sizes):
            return Halton().ask(space, trials, seed)
        size = next_batch_size(space, trials, seed)
        coordinates = Coordinates(space, self.learning_rate_rule)
        distributions: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in coordinates.domains}
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # or it advises greenlet at every ask
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.GPSampler(seed=seed + len(trials), n_startup_trials=0)
            study = optuna.create_study(sampler=sampler)
            study.add_trials(
                [
                    optuna.trial.create_trial(
                        value=value, params=coordinates.to_unit(trial.recipe), distributions=distributions
                    )
                    for trial, value in telling(trials, objectives(trials, self.target), MAX_TOLD)
                ]
            )
            recipe = coordinates.from_unit(study.ask(distributions).params, size)
        return Proposal(recipe, f"the Gaussian process's proposal, at batch size {size}, whose turn it is")
