"""Asynchronous Hyperband: several successive halvings at once that differ in how early they begin to stop trials.

References: Li et al. (2018), arXiv 1603.06560, algorithm 1; asynchronous, Li et al. (2020), arXiv 1810.05934.
Each bracket is Ray Tune's asynchronous halving. Tune draws a trial's bracket from numpy's global random numbers; here
it follows from the study's seed and the trial's number, so that a resumed study draws the same.
"""

import math
from collections.abc import Sequence

import numpy as np

from largebatch.schedulers.trial.asha import Asha
from largebatch.schedulers.trial.scheduler import Decision
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial


class Hyperband:
    """Bracket ``s`` is a halving with its first rung at ``grace_examples * reduction_factor ** s``.

    The last bracket's first rung is at most ``max_examples``, and each gets its share of the trials from the paper:
    the later it stops them, the fewer. The arguments are those of ``Asha``, and the study's seed.
    """

    def __init__(
        self, *, target: Target, grace_examples: int, reduction_factor: int, max_examples: int, seed: int
    ) -> None:
        rungs = [grace_examples]
        while rungs[-1] * reduction_factor <= max_examples:
            rungs.append(rungs[-1] * reduction_factor)
        self._brackets = [
            Asha(target=target, grace_examples=rung, reduction_factor=reduction_factor, max_examples=max_examples)
            for rung in rungs
        ]
        count = len(rungs)
        sizes = [math.ceil(count / (halvings + 1) * reduction_factor**halvings) for halvings in reversed(range(count))]
        self._shares = np.array(sizes) / sum(sizes)
        self._seed = seed
        self._drawn: dict[int, Asha] = {}

    def rebuild(self, trials: Sequence[Trial]) -> None:
        """See ``Scheduler``."""
        for trial in trials:
            self._bracket(trial).rebuild([trial])

    def decide(self, trial: Trial, trials: Sequence[Trial]) -> Decision:
        """See ``Scheduler``."""
        bracket = self._bracket(trial)
        return bracket.decide(trial, [other for other in trials if self._bracket(other) is bracket])

    def _bracket(self, trial: Trial) -> Asha:
        if trial.number not in self._drawn:
            rng = np.random.default_rng((self._seed, trial.number))
            self._drawn[trial.number] = self._brackets[rng.choice(len(self._shares), p=self._shares)]
        return self._drawn[trial.number]
