"""The space as samplers see it: constant bounds, the learning rate as its departure from a rule; and their objective.

A sampler whose ranges moved between trials would lose what it learned, so a learning rate is searched as
log(rate / rule(batch size)) over bounds wide enough for every batch size, and held to the study's bounds afterwards.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from largebatch.spaces.domain import Choice, Domain, Range, Value
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.rule import RULES
from largebatch.spaces.space import Space
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Outcome, Trial

NOT_REACHED, DIVERGED = 0.5, 2.0
"""Objectives of censored trials beyond the worst that reached the target: not by so much that nothing else is seen."""
UNKNOWN = 0.5
"""The coordinate of what does not exist under the other values."""


class Coordinates:
    """Unit coordinates of the varying domains, the learning rate's along its departure from ``rule``."""

    def __init__(self, space: Space, rule: str) -> None:
        self.space = space
        self.domains: dict[str, Domain] = space.varying
        sizes = space.batch_sizes
        reference = math.sqrt(sizes[0] * sizes[-1])
        self._rule = {size: RULES[rule](size / reference) for size in sizes}
        self._reference, self._rule_name = reference, rule
        rate = self.domains.get("learning_rate")
        self.departs = isinstance(rate, Range) and rate.scale == "log"
        if self.departs:
            assert isinstance(rate, Range)
            factors = self._rule.values()
            self.low, self.high = math.log(rate.low / max(factors)), math.log(rate.high / min(factors))

    def to_unit(self, recipe: Recipe) -> dict[str, float]:
        """Every varying domain's coordinate; ``UNKNOWN`` for what does not exist or lies outside of its domain."""
        values = recipe.model_dump()
        active = set(self.space.active(values))
        return {
            name: self._to_unit(name, domain, values) if name in active else UNKNOWN
            for name, domain in self.domains.items()
        }

    def from_unit(self, units: Mapping[str, float], batch_size: int) -> Recipe:
        """The recipe at ``batch_size``; a learning rate beyond the study's bounds is moved to the bound."""
        values: dict[str, Value] = {name: domain.grid(1)[0] for name, domain in self.space.root.items()}
        values |= {name: domain.from_unit(min(max(units[name], 0.0), 1.0)) for name, domain in self.domains.items()}
        values["global_batch_size"] = batch_size
        if self.departs:
            departure = self.low + units["learning_rate"] * (self.high - self.low)
            low, *_, high = self.domains["learning_rate"].grid(2)
            values["learning_rate"] = min(max(math.exp(departure) * self._rule[batch_size], float(low)), float(high))
        return self.space.recipe(values)

    def _to_unit(self, name: str, domain: Domain, values: Mapping[str, Any]) -> float:
        if name == "learning_rate" and self.departs:
            factor = RULES[self._rule_name](values["global_batch_size"] / self._reference)
            at = (math.log(values[name] / factor) - self.low) / (self.high - self.low)
            return min(max(at, 0.0), 1.0)
        if not domain.contains(values[name]):
            return UNKNOWN
        listed = domain.values()
        if listed is not None and not isinstance(domain, Choice):
            return (listed.index(values[name]) + 0.5) / len(listed)
        return domain.to_unit(values[name])


def objectives(trials: Sequence[Trial], target: Target) -> list[float | None]:
    """To be minimised: log(steps to target / the fewest at that batch size); None of trials that run.

    Censored trials rank by their last metric, diverged ones last.
    """
    fewest: dict[int, float] = {}
    for trial in trials:
        if trial.steps_to_target is not None:
            size = trial.recipe.global_batch_size
            fewest[size] = min(fewest.get(size, math.inf), trial.steps_to_target)
    reached = {
        trial.number: math.log(trial.steps_to_target / fewest[trial.recipe.global_batch_size])
        for trial in trials
        if trial.steps_to_target is not None
    }
    worst = max(reached.values(), default=0.0)
    return [
        None if trial.ending is None else reached.get(trial.number, worst + _censored(trial, target))
        for trial in trials
    ]


def _censored(trial: Trial, target: Target) -> float:
    assert trial.ending is not None
    if trial.ending.outcome in (Outcome.DIVERGED, Outcome.FAILED) or not trial.intermediate:
        return DIVERGED
    last = trial.intermediate[max(trial.intermediate)]
    gap = target.sign * (last - target.bound)
    return NOT_REACHED + 2 / math.pi * math.atan(gap) if math.isfinite(gap) else DIVERGED


def telling(trials: Sequence[Trial], values: Sequence[float | None], most: int) -> list[tuple[Trial, float]]:
    """At most ``most`` trials with their objectives: the best half and the latest; those that run count as middling."""
    known = sorted(value for value in values if value is not None)
    middling = known[len(known) // 2] if known else 0.0
    pairs = [(trial, middling if value is None else value) for trial, value in zip(trials, values, strict=True)]
    if len(pairs) <= most:
        return pairs
    latest = pairs[-(most // 2) :]
    best = sorted(pairs[: -(most // 2)], key=lambda pair: pair[1])[: most - most // 2]
    return sorted(best, key=lambda pair: pair[0].number) + latest
