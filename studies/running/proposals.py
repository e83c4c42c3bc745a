"""What a study tries next, as long as its budget lasts: it reads the record, and the coordinator writes it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from largebatch.search.plan.finalists import repeat_seed, wanted_repeats
from largebatch.search.searcher import Searcher
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_seconds import StepSeconds
from largebatch.spaces.trial import Trial
from largebatch.studies.question.study import Study
from largebatch.studies.running.steering import Steering

REPEATS_SHARE = 1 / 3
"""Of the budget, the most that goes to repeats of finalists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A recipe to try; which trial it repeats, where it repeats one; what asked for it, where something did."""

    recipe: Recipe
    why: str
    repeat_of: int | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposing:
    """``seconds`` are of a step at the plan's worker counts, where the study needs them."""

    study: Study
    searcher: Searcher
    steering: Steering
    seconds: StepSeconds | None

    def propose(self, trials: Sequence[Trial], elapsed_seconds: float) -> Proposed | None:
        """What was asked for, else a repeat where it is time, else what the searcher proposes; None at the end.

        Branches of other trials are not the searcher's.
        """
        trials = [trial for trial in trials if trial.origin is None]
        limit = self.study.budget.trials
        if limit is not None and len(trials) >= limit:
            return None
        self.steering.poll()
        if (asked := self.steering.next_recipe()) is not None:
            return Proposed(recipe=self._seeded(asked.recipe, len(trials)), why=asked.why, request=asked.name)
        repeats = wanted_repeats(trials, self.study.repeats, self.seconds)
        if repeats and self._is_time_for(repeats, trials, elapsed_seconds):
            return _repeat(repeats[0], trials)
        proposal = self.searcher.ask(self.steering.space(self.study.space), trials, self.study.search.seed)
        if proposal is None:
            return _repeat(repeats[0], trials) if repeats else None
        return Proposed(recipe=self._seeded(proposal.recipe, len(trials)), why=proposal.why)

    def _seeded(self, recipe: Recipe, number: int) -> Recipe:
        if "seed" in self.study.space.root or recipe.seed:  # searched, or somebody's own
            return recipe
        return recipe.model_copy(update={"seed": self.study.search.seed * 1_000_000 + number})

    def _is_time_for(self, repeats: Sequence[Trial], trials: Sequence[Trial], elapsed_seconds: float) -> bool:
        """Whether what is left of the budget should go to repeats: as much as they need, at most ``REPEATS_SHARE``."""
        left, spent = self._left(trials, elapsed_seconds), sum(trial.examples for trial in trials)
        return left <= min(sum(trial.examples for trial in repeats), REPEATS_SHARE * (left + spent))

    def _left(self, trials: Sequence[Trial], elapsed_seconds: float) -> float:
        """About how many examples the budget leaves, running trials counted as if they took what others took."""
        budget, ended = self.study.budget, [trial for trial in trials if trial.ending is not None]
        spent = sum(trial.examples for trial in trials)
        mean = spent / max(len(ended), 1)
        left = math.inf
        if budget.trials is not None:
            left = min(left, mean * (budget.trials - len(trials)))
        if budget.examples is not None:
            left = min(left, budget.examples - spent)
        if budget.minutes is not None:
            left = min(left, spent * (60 * budget.minutes / max(elapsed_seconds, 1e-9) - 1))
        return left


def _repeat(finalist: Trial, trials: Sequence[Trial]) -> Proposed:
    recipe = finalist.recipe.model_copy(update={"seed": repeat_seed(trials, finalist)})
    why = f"trial {finalist.number} again with another seed: it is among the best of its batch size"
    return Proposed(recipe=recipe, why=why, repeat_of=finalist.number)
