"""Which examples make each step: one global shuffle an epoch, dealt to groups.

The epochs' shuffles form one endless stream; a step takes the next ``B`` examples of it, whole, so that no batch is
ever partial and the place in the data is one number.
"""

import numpy as np
from numpy.typing import NDArray

WINDOW_BLOCKS = 64
"""Blocks whose examples are mixed with one another, where the data has blocks."""


class ShuffledStream:
    """The endless stream of example indices of one seed; the same on every process and for every split.

    Args:
        num_examples: Of an epoch.
        seed: Of the shuffles.
        block: Neighbours that lie together on disk. Where given, blocks are shuffled, and then the examples of each
            64 blocks in a row: any 64 blocks of examples of the stream lie in at most 128 blocks of the data.
    """

    def __init__(self, num_examples: int, seed: int, block: int | None = None) -> None:
        self._num_examples = num_examples
        self._seed = seed
        self._block = block
        self._epochs: dict[int, NDArray[np.int64]] = {}

    def take(self, start: int, count: int) -> NDArray[np.int64]:
        """Indices of the examples at the positions from ``start`` on, shape ``(count,)``."""
        length = self._num_examples
        first, last = start // length, (start + count - 1) // length
        if first == last:
            return self._epoch(first)[start - first * length : start - first * length + count]
        parts = [self._epoch(epoch) for epoch in range(first, last + 1)]
        parts[-1] = parts[-1][: start + count - last * length]
        parts[0] = parts[0][start - first * length :]
        self._epochs = {last: self._epochs[last]}
        return np.concatenate(parts)

    def _epoch(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._epochs:
            self._epochs = {number: order for number, order in self._epochs.items() if number >= epoch - 1}
            self._epochs[epoch] = self._shuffle(np.random.default_rng((self._seed, epoch)))
        return self._epochs[epoch]

    def _shuffle(self, random: np.random.Generator) -> NDArray[np.int64]:
        if self._block is None:
            return random.permutation(self._num_examples)
        blocks = random.permutation(-(-self._num_examples // self._block))
        order = (blocks[:, None] * self._block + np.arange(self._block)).reshape(-1)
        order = order[order < self._num_examples]
        window = WINDOW_BLOCKS * self._block
        for start in range(0, len(order), window):
            random.shuffle(order[start : start + window])
        return order
