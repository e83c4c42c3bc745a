"""Which examples make each step: one global shuffle an epoch, dealt to groups.

The epochs' shuffles form one endless stream; a step takes the next ``B`` examples of it, whole, so that no batch is
ever partial and the place in the data is one number.
"""

import numpy as np
from numpy.typing import NDArray


class ShuffledStream:
    """The endless stream of example indices of one seed; the same on every process and for every split."""

    def __init__(self, num_examples: int, seed: int) -> None:
        self._num_examples = num_examples
        self._seed = seed
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
            self._epochs[epoch] = np.random.default_rng((self._seed, epoch)).permutation(self._num_examples)
        return self._epochs[epoch]
