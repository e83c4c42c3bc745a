"""The shuffle: a permutation each epoch; by blocks it stays near in the data."""

import numpy as np
import pytest

from largebatch.trainers.data.shuffled_stream import WINDOW_BLOCKS, ShuffledStream


@pytest.mark.parametrize("num_examples", [1, 7, 8, 1000, 4096, 10_007])
def test_by_blocks_every_epoch_is_a_permutation(num_examples: int) -> None:
    stream = ShuffledStream(num_examples, 5, block=8)
    epochs = [stream.take(epoch * num_examples, num_examples) for epoch in range(3)]
    for epoch in epochs:
        assert np.array_equal(np.sort(epoch), np.arange(num_examples))
    if num_examples >= 1000:
        assert not np.array_equal(epochs[0], epochs[1])


def test_any_cut_of_the_stream_gives_the_same_order() -> None:
    whole = ShuffledStream(1000, 5, block=8).take(0, 5000)
    cut = ShuffledStream(1000, 5, block=8)
    assert np.array_equal(
        np.concatenate([cut.take(start, 137) for start in range(0, 137 * 36, 137)]), whole[: 137 * 36]
    )
    assert np.array_equal(ShuffledStream(1000, 5, block=8).take(2345, 100), whole[2345:2445])
    assert not np.array_equal(ShuffledStream(1000, 6, block=8).take(0, 1000), whole[:1000])


def test_by_blocks_neighbours_in_the_stream_lie_in_few_blocks() -> None:
    block, num_examples = 16, 64_000
    order = ShuffledStream(num_examples, 0, block=block).take(0, num_examples)
    window = WINDOW_BLOCKS * block
    for start in range(0, num_examples - window, 777):
        assert len(np.unique(order[start : start + window] // block)) <= 2 * WINDOW_BLOCKS
    everywhere = ShuffledStream(num_examples, 0).take(0, window)
    assert len(np.unique(everywhere // block)) > 8 * WINDOW_BLOCKS


def test_by_blocks_examples_are_mixed_with_those_of_many_blocks() -> None:
    """A batch of 64 has about as many of each block as chance gives it."""
    order = ShuffledStream(64_000, 0, block=16).take(0, 64_000) // 16
    distinct = [len(np.unique(order[start : start + 64])) for start in range(0, 64_000, 64)]
    assert np.mean(distinct) == pytest.approx(WINDOW_BLOCKS * (1 - (1 - 1 / WINDOW_BLOCKS) ** 64), rel=0.03)


def test_without_blocks_the_order_is_numpy_s_permutation() -> None:
    stream = ShuffledStream(1000, 5)
    for epoch in range(3):
        expected = np.random.default_rng((5, epoch)).permutation(1000)
        assert np.array_equal(stream.take(epoch * 1000, 1000), expected)
