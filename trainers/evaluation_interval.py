"""How often a training is evaluated where its task does not say: a function of counts, the same in every process.

The target is met somewhere between two evaluations, so they should be many; each costs a pass forward over the
validation set. Training an example costs about three times that, for going backwards takes twice what going forward
does (Kaplan et al. 2020, arXiv 2001.08361, section 2.1: 6 N operations a token in training, 2 N forward).
"""

import math

FORWARD_SHARE = 1 / 3
"""Of the operations of training an example, those that evaluating it takes."""
MAX_COST = 0.1
"""Operations of all evaluations, as a share of those of training."""
FEWEST, MOST = 25, 1_000
"""Evaluations until a training gives up."""


def usual_evaluation_examples(num_training: int, num_validation: int, max_examples: int) -> int:
    """Examples between two evaluations.

    As often as costs a tenth of the training, but at most ``MOST`` times in ``max_examples``; and whatever it costs,
    ``FEWEST`` times, and once a pass over the training data.
    """
    cheap = math.ceil(num_validation * FORWARD_SHARE / MAX_COST)
    seldom = math.ceil(max_examples / MOST)
    return max(1, min(max(cheap, seldom), max_examples // FEWEST, num_training))
