"""How a batch is dealt to workers: in whole groups of the examples that share batch statistics.

Each batch size has its own group, that of its best trial's recipe: all of its examples up to ``norm_batch_size``. A
model without batch statistics has groups of one example.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from largebatch.search.laws.fit_laws import FittedLaws
from largebatch.search.laws.law import Array
from largebatch.spaces.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealing:
    """``size_K`` are the batch sizes that reached the target, rising; ``norm_K`` the most that share statistics."""

    size_K: np.ndarray
    norm_K: np.ndarray
    shares_statistics: bool = True

    def norm(self, batch: ArrayLike) -> np.ndarray:
        """The ``norm_K`` of the nearest size in log."""
        logs = np.log(np.asarray(batch, float))
        return np.asarray(self.norm_K[np.argmin(np.abs(logs[..., None] - np.log(self.size_K)), axis=-1)])

    @property
    def groups(self) -> np.ndarray:
        """The examples of a group at each size."""
        return np.asarray(np.minimum(self.norm_K, self.size_K))

    def whole(self, workers_W: np.ndarray) -> np.ndarray:
        """Which sizes give every one of so many workers as many whole groups."""
        return np.asarray(self.size_K % (workers_W[:, None] * self.groups) == 0)

    def norm_batch_size(self, recipe: Recipe, num_workers: int, global_batch_size: int) -> int:
        """Of ``recipe`` dealt so; without batch statistics its own, or the most that divides a local batch."""
        if self.shares_statistics:
            return int(self.norm(global_batch_size))
        local, norm = global_batch_size // num_workers, recipe.norm_batch_size
        return norm if local <= norm else math.gcd(local, norm)

    def words(self) -> str:
        """As in: whole groups of 16 or 32 examples."""
        groups = [str(group) for group in np.unique(self.groups).tolist()]
        return f"whole groups of {' or '.join(groups)} examples" if groups != ["1"] else "equal parts"


def dealing_of(laws: FittedLaws, sizes: Sequence[int], has_batch_statistics: bool | None) -> Dealing:
    """Of ``sizes``, by their best trials; a model of which it was not recorded may have batch statistics."""
    by_number = {trial.number: trial.recipe for trial in laws.found.trials}
    best = {one.global_batch_size: by_number[one.best_trial] for one in laws.optima if one.best_trial is not None}
    norms = [1 if has_batch_statistics is False else _norm(best[size]) for size in sizes]
    return Dealing(size_K=np.array(sizes), norm_K=np.array(norms), shares_statistics=has_batch_statistics is not False)


def left_out(dealing: Dealing, workers: Sequence[int]) -> list[int]:
    """The measured sizes that can be dealt to none of the worker counts."""
    return [int(size) for size in dealing.size_K[~dealing.whole(np.array(workers)).any(axis=0)]]


def _norm(recipe: Recipe) -> int:
    whole = recipe.group_size == recipe.global_batch_size  # a larger batch has larger groups, up to norm_batch_size
    return recipe.norm_batch_size if whole else recipe.group_size


def best_batches(
    dealing: Dealing,
    workers_W: np.ndarray,
    seconds: Callable[[np.ndarray, Array], Array],
    num_candidates: int,
    rounds: int,
) -> tuple[Array, Array]:
    """The best batch of whole groups for each worker count, and its seconds: inf where there is none.

    Each round looks between the neighbours of the last one's best.
    """
    least_W, chosen_W = np.full(len(workers_W), np.inf), np.zeros(len(workers_W))
    size_K, row = dealing.size_K, np.arange(len(workers_W))
    for norm in np.unique(dealing.norm_K).tolist():
        unit_W = workers_W * norm
        low_W = np.maximum(np.ceil(size_K.min() / unit_W), 1.0)
        high_W = np.maximum(np.floor(size_K.max() / unit_W), low_W)
        for _ in range(rounds):
            units_WC = np.rint(low_W[:, None] * (high_W / low_W)[:, None] ** np.linspace(0, 1, num_candidates))
            batch_WC = units_WC * unit_W[:, None]
            seconds_WC = np.where(dealing.norm(batch_WC) == norm, seconds(workers_W, batch_WC), np.inf)
            place_W = np.argmin(seconds_WC, axis=1)
            better_W = seconds_WC[row, place_W] < least_W
            least_W = np.where(better_W, seconds_WC[row, place_W], least_W)
            chosen_W = np.where(better_W, batch_WC[row, place_W], chosen_W)
            low_W = units_WC[row, np.maximum(place_W - 1, 0)]
            high_W = units_WC[row, np.minimum(place_W + 1, num_candidates - 1)]
    return chosen_W, least_W
