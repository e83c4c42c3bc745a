"""How a learning rate moves with the batch size: the factor by which a rule multiplies it.

A searcher sees the *departure* ``learning_rate / rule(B)``, so that a study learns where a rule fails while every
trial has the same bounds. Rules are relative to a reference batch size, where their factor is 1.
"""

import math
from collections.abc import Callable

Rule = Callable[[float], float]
"""kappa = B / B_reference -> learning rate / learning rate at B_reference."""


def constant(kappa: float) -> float:
    """The same learning rate at every batch size."""
    del kappa
    return 1.0


def square_root(kappa: float) -> float:
    """``sqrt(kappa)``: keeps the covariance of an update. Reference: Krizhevsky (2014), arXiv 1404.5997, section 5."""
    return math.sqrt(kappa)


def linear(kappa: float) -> float:
    """``kappa``: keeps an epoch's mean update. Reference: Goyal et al. (2017), arXiv 1706.02677, section 2.1."""
    return kappa


RULES: dict[str, Rule] = {"constant": constant, "square-root": square_root, "linear": linear}
