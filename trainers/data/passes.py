"""The passes of a step on one device: how many groups go through the model together."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.trainers.data.batch_tree import length, mapped, part
from largebatch.trainers.data.example_random import ExampleRandom
from largebatch.trainers.data.loader import Groups, Loader
from largebatch.trainers.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Examples that go through the model together: ``num_groups`` groups interleaved, or a piece of one.

    ``seed`` is for what the model itself draws; the same examples have the same in every split.
    """

    inputs: Any
    targets: Any
    num_examples: int
    num_groups: int
    seed: int
    is_last: bool


class Passes:
    """Cuts the groups of a step into passes of at most ``micro_batch_size`` examples.

    A group is cut only where the model has no batch statistics. A model that draws random numbers by itself, which
    ``draws_itself`` tells after its first pass, is taken a group at a time, seeded by the group.

    Args:
        task: Whose examples.
        recipe: Its groups and its seed.
        loader: Brings the examples.
        random: Told the examples of each pass, where ``needs_keys``.
        needs_keys: Whether anything draws from ``random``.
        has_batch_statistics: Whether a group must stay whole.
        micro_batch_size: Examples that fit.
        memory_format: Of images.
    """

    def __init__(
        self, task: Task, recipe: Recipe, loader: Loader, random: ExampleRandom, *, needs_keys: bool,
        has_batch_statistics: bool, micro_batch_size: int, memory_format: torch.memory_format,
    ) -> None:  # fmt: skip
        self._augment, self._recipe, self._loader, self._random = task.augment, recipe, loader, random
        self._needs_keys, self._whole, self._format = needs_keys, has_batch_statistics, memory_format
        self._micro_batch_size = micro_batch_size
        self.draws_itself: bool | None = None
        if has_batch_statistics and recipe.group_size > micro_batch_size:
            raise UserError(
                f"norm_batch_size: the {recipe.group_size} examples that share batch statistics must go through the "
                f"model in one pass, and {micro_batch_size} is the most that fits; choose norm_batch_size <= "
                f"{micro_batch_size}"
            )

    @property
    def groups_per_pass(self) -> int:
        """Whole groups that fit in one pass."""
        return 1 if self.draws_itself else max(1, self._micro_batch_size // self._recipe.group_size)

    def of_step(self, groups: Groups, *, at_least: int) -> Iterator[Pass]:
        """The passes over these groups, ``at_least`` so many where there are as many groups."""
        share = max(1, math.ceil(len(groups) / at_least))
        start = 0
        while start < len(groups):
            # the first pass of all tells whether the model draws by itself
            count = min(1 if self.draws_itself is None else self.groups_per_pass, share)
            block = groups[start : start + count]
            start += count
            yield from self._of_block(block, is_last=start >= len(groups))

    def _of_block(self, block: Groups, *, is_last: bool) -> Iterator[Pass]:
        inputs, targets = self._loader.take(block)
        inputs = mapped(self._formatted, inputs)
        keys, num_draws = None, 0
        if self._needs_keys:
            keys = self._loader.keys(block)
            self._random.begin(keys)
            inputs = inputs if self._augment is None else self._augment(inputs, self._random)
            num_draws = self._random.num_draws
        total = length(inputs)
        count = total if self._whole else min(total, self._micro_batch_size)
        for first in range(0, total, count):
            if keys is not None:
                self._random.begin(keys[first : first + count], num_draws)
            yield Pass(
                inputs=inputs if count == total else part(inputs, first, count),
                targets=targets if count == total else part(targets, first, count),
                num_examples=min(count, total - first),
                num_groups=len(block),
                seed=hash((self._recipe.seed, block.starts_G[0] + first)),
                is_last=is_last and first + count >= total,
            )

    def _formatted(self, tensor: Tensor) -> Tensor:
        return tensor.contiguous(memory_format=self._format) if tensor.ndim == 4 else tensor
