"""How often a training is evaluated where its task does not say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.trainers.evaluation_interval import FEWEST, MOST, usual_evaluation_examples


@pytest.mark.parametrize(
    ("training", "validation", "most", "told"),
    [
        (50_000, 1_000, 2_000_000, 3_334),  # a tenth of the training: 1,000 / 3 forward for 3,334 trained
        (50_000, 10_000, 2_000_000, 33_334),
        (50_000, 100, 2_000_000, 2_000),  # a thousand times
        (1_281_167, 50_000, 115_305_030, 166_667),
        (4_000, 4_000, 160_000, 4_000),  # each pass, though that costs a third
        (4_000, 1_000, 20_000, 800),  # 25 times, though that costs two fifths
        (10, 1, 400, 4),
        (1, 1, 1, 1),
    ],
)
def test_in_numbers(training: int, validation: int, most: int, told: int) -> None:
    assert usual_evaluation_examples(training, validation, most) == told


counts = st.integers(1, 10**9)


@given(counts, counts, counts)
def test_often_enough_and_not_for_more_than_a_tenth(training: int, validation: int, most: int) -> None:
    told = usual_evaluation_examples(training, validation, most)
    assert 1 <= told <= max(training, 1)
    assert most // told >= min(FEWEST, most)
    is_dear = validation / 3 > 0.1 * told * (1 + 1e-9)
    assert not is_dear or told in (max(1, most // FEWEST), training), "only to be evaluated often enough"
    assert is_dear or told >= min(most / MOST, most // FEWEST or 1, training)
