"""Optuna's multivariate tree-structured Parzen estimator, given one batch size at a time.

Reference: Bergstra et al. (2011), NeurIPS 24; multivariate: Falkner et al. (2018), arXiv 1807.01774, section 4.
The batch size is context, not choice: TPE proposes it jointly with the rest, so that its model knows how the others
move with it, and the first proposal at the batch size whose turn it is gets taken. The learning rate enters as the
departure from a rule, over constant bounds; a proposal whose rate leaves the study's bounds is not taken.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from largebatch.search.searcher import Proposal, next_batch_size
from largebatch.search.searchers.coordinates import objectives
from largebatch.search.searchers.halton import Halton
from largebatch.spaces.domain import Choice, Domain, Range, Value
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.rule import RULES
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial

MAX_PROPOSALS = 20
"""Proposals drawn before one at another batch size is moved to the one whose turn it is."""


@dataclass(frozen=True, slots=True)
class OptunaTPE:
    """TPE on log(steps to target / the fewest at that batch size); censored trials rank by their last metric."""

    target: Target
    learning_rate_rule: str

    def ask(self, space: Space, trials: Sequence[Trial], seed: int) -> Proposal:
        """See ``Searcher``. The first trials, two for each batch size, are Halton's."""
        if len(trials) < 2 * len(space.batch_sizes):
            return Halton().ask(space, trials, seed)
        size = next_batch_size(space, trials, seed)
        coordinates = _Coordinates(space, RULES[self.learning_rate_rule])
        study = self._study(coordinates, trials, seed)
        moved: Recipe | None = None
        for _ in range(MAX_PROPOSALS):
            proposal = study.ask()
            values, departure = coordinates.suggest(proposal)
            study.tell(proposal, state=TrialState.FAIL)  # not taken: it must not count as running
            taken = values["global_batch_size"] == size
            values = coordinates.at_batch_size(size, values, departure)
            if space.root["learning_rate"].contains(values["learning_rate"]):
                moved = moved or space.recipe(values)
                if taken:
                    return Proposal(space.recipe(values), f"TPE's proposal at batch size {size}, whose turn it is")
        if moved is not None:
            return Proposal(moved, f"TPE's proposal at another batch size, moved to {size}, whose turn it is")
        return Halton().ask(space, trials, seed)

    def _study(self, coordinates: "_Coordinates", trials: Sequence[Trial], seed: int) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # group: for conditional spaces
            sampler = optuna.samplers.TPESampler(seed=seed + len(trials), n_startup_trials=0, group=True)
        study = optuna.create_study(sampler=sampler)
        values = objectives(trials, self.target)
        told = zip(trials, values, strict=True)
        inside = [(trial, value) for trial, value in told if coordinates.holds(trial.recipe)]
        study.add_trials([self._frozen(coordinates, trial, value) for trial, value in inside])
        return study

    def _frozen(self, coordinates: "_Coordinates", trial: Trial, value: float | None) -> optuna.trial.FrozenTrial:
        parameters, distributions = coordinates.of(trial.recipe)
        if value is None:
            return optuna.trial.create_trial(state=TrialState.RUNNING, params=parameters, distributions=distributions)
        return optuna.trial.create_trial(value=value, params=parameters, distributions=distributions)


class _Coordinates:
    """The space as TPE sees it: constant bounds, the learning rate as log(rate / rule(batch size))."""

    def __init__(self, space: Space, rule: Any) -> None:
        self._space = space
        sizes = space.batch_sizes
        reference = math.sqrt(sizes[0] * sizes[-1])
        self._rule = {size: rule(size / reference) for size in sizes}
        rate = space.root["learning_rate"]
        self._departs = isinstance(rate, Range) and rate.scale == "log"
        # What never varies teaches nothing, and every dimension costs time.
        self._distributions = {name: self._distribution(name, domain) for name, domain in space.varying.items()}

    def _distribution(self, name: str, domain: Domain) -> BaseDistribution:
        if name == "learning_rate" and self._departs:
            assert isinstance(domain, Range)
            factors = self._rule.values()
            return FloatDistribution(math.log(domain.low / max(factors)), math.log(domain.high / min(factors)))
        if isinstance(domain, Choice):
            return CategoricalDistribution(domain.choices)
        values = domain.values()
        return FloatDistribution(0.0, 1.0) if values is None else IntDistribution(0, len(values) - 1)

    def suggest(self, proposal: optuna.Trial) -> tuple[dict[str, Value], Value]:
        """The values that TPE proposes, and the learning rate's coordinate among them.

        Unconditional ones come first: they decide which others exist.
        """
        values: dict[str, Value] = {name: domain.grid(1)[0] for name, domain in self._space.root.items()}
        for conditional in (False, True):
            for name, domain in self._space.varying.items():
                if (domain.when is not None) == conditional and (not conditional or name in self._space.active(values)):
                    values[name] = self._suggest_one(proposal, name, domain)
        return values, values["learning_rate"]

    def at_batch_size(self, size: int, values: dict[str, Value], rate: Value) -> dict[str, Value]:
        """``values`` at batch size ``size``, the learning rate from its coordinate ``rate``."""
        if self._departs:
            rate = math.exp(float(rate)) * self._rule[size]
        return {**values, "global_batch_size": size, "learning_rate": rate}

    def _suggest_one(self, proposal: optuna.Trial, name: str, domain: Domain) -> Value:
        distribution = self._distributions[name]
        if isinstance(domain, Choice):
            return proposal.suggest_categorical(name, domain.choices)  # type: ignore[return-value]
        values = domain.values()
        if values is not None:
            return values[proposal.suggest_int(name, 0, len(values) - 1)]
        assert isinstance(distribution, FloatDistribution)
        at = proposal.suggest_float(name, distribution.low, distribution.high)
        return at if name == "learning_rate" and self._departs else domain.from_unit(at)

    def holds(self, recipe: Recipe) -> bool:
        """Whether a recipe has coordinates: those of a human's own may lie outside of the space."""
        return self._space.contains(recipe)

    def of(self, recipe: Recipe) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """The coordinates of a recipe and their distributions."""
        values = recipe.model_dump()
        names = [name for name in self._space.active(values) if name in self._distributions]
        parameters = {name: self._coordinate(name, values) for name in names}
        return parameters, {name: self._distributions[name] for name in names}

    def _coordinate(self, name: str, values: dict[str, Any]) -> Any:
        if name == "learning_rate" and self._departs:
            return math.log(values[name] / self._rule[values["global_batch_size"]])
        domain = self._space.root[name]
        if isinstance(domain, Choice):
            return values[name]
        listed = domain.values()
        return domain.to_unit(values[name]) if listed is None else listed.index(values[name])
