"""The area under the ROC curve and its interval."""

import math

import pytest
import torch
from auc_interval import auc_interval
from sklearn.metrics import roc_auc_score


def test_by_hand() -> None:
    """Positives 1, 3 and negatives 0, 2: three of four pairs are in order.

    Of the positives 1 and 1/2 of the negatives are beaten, variance 1/8; the same for the negatives. So the area's
    variance is 1/8 / 2 + 1/8 / 2 = 1/8, its logit log 3, the logit's error sqrt(1/8) / (3/4 * 1/4).
    """
    area, low, high = auc_interval(torch.tensor([1.0, 3.0, 0.0, 2.0]), torch.tensor([1, 1, 0, 0]), level=0.90)
    half = 1.6448536 * math.sqrt(1 / 8) / (3 / 16)
    assert area == 0.75
    assert math.log(low / (1 - low)) == pytest.approx(math.log(3) - half)
    assert math.log(high / (1 - high)) == pytest.approx(math.log(3) + half)


def test_ties_count_half_and_scikit_learn_agrees() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3 // 2
    scores = torch.randint(0, 9, (60,), generator=generator) + labels
    assert auc_interval(scores, labels)[0] == pytest.approx(roc_auc_score(labels, scores))


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Normal scores one standard deviation apart: the true area is Phi(1 / sqrt 2)."""
    truth, generator = 0.5 * (1 + math.erf(0.5)), torch.Generator().manual_seed(0)
    labels = torch.cat([torch.ones(40), torch.zeros(20)])
    inside = 0
    for _ in range(400):
        _, low, high = auc_interval(torch.randn(60, generator=generator) + labels, labels, level=0.90)
        inside += low < truth < high
    assert inside / 400 == pytest.approx(0.90, abs=0.05)


def test_a_perfect_ranking() -> None:
    assert auc_interval(torch.arange(4.0), torch.tensor([0, 0, 1, 1])) == (1.0, 1.0, 1.0)
