"""How hyper-parameters move with the batch size: pure functions of kappa = B' / B, each with its paper.

No single rule holds for every workload, so a searcher sees the *departure* ``learning_rate / rule(B)`` from one of
``RULES``: a study then learns where a rule fails while every trial has the same bounds. Those rules are relative to a
reference batch size, where their factor is 1.
"""

import math
from collections.abc import Callable

from largebatch.spaces.recipe import Recipe

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


def saturating(kappa: float, noise_to_batch: float) -> float:
    """``kappa (1 + r) / (kappa + r)`` with ``r`` = noise scale / B: linear below the noise scale, ``1 + r`` above.

    Reference: Johnson et al. (2020), AdaScale SGD, arXiv 2007.05105, equation 4, with expectations for estimates;
    McCandlish et al. (2018), arXiv 1812.06162, equation 2.6, is the same curve.
    """
    return kappa * (1 + noise_to_batch) / (kappa + noise_to_batch)


def half_life(decay: float, kappa: float) -> float:
    """``decay^kappa``: an exponential average forgets at the same rate in examples.

    Reference: Busbridge et al. (2023), How to scale your EMA, arXiv 2307.13813, definition 1.2.
    """
    return math.pow(decay, kappa)


def legw(recipe: Recipe, kappa: int) -> Recipe:
    """Linear-epoch gradual warm-up: rate by ``sqrt(kappa)``, warm-up ``kappa`` times the epochs (the same steps).

    Reference: You et al. (2019), Large-batch training for LSTM and beyond, arXiv 1901.08256, section 3.
    """
    longer = {
        "warmup_epochs": None if recipe.warmup_epochs is None else kappa * recipe.warmup_epochs,
        "warmup_fraction": None if recipe.warmup_fraction is None else min(1.0, kappa * recipe.warmup_fraction),
    }
    return _at(recipe, kappa, learning_rate=square_root(kappa) * recipe.learning_rate, **longer)


def adam_sde(recipe: Recipe, kappa: int) -> Recipe:
    """Rate by ``sqrt(kappa)``, ``1 - beta`` by ``kappa``, epsilon by ``1 / sqrt(kappa)``: keeps Adam's limiting SDE.

    Reference: Malladi et al. (2022), On the SDEs and scaling rules for adaptive gradient algorithms, arXiv 2205.10287,
    definition 5.2.

    Raises:
        ValueError: where ``kappa (1 - beta)`` leaves [0, 1]: the rule ends there.
    """
    betas = {name: 1 - kappa * (1 - getattr(recipe, name)) for name in ("beta1", "beta2")}
    for name, beta in betas.items():
        if beta < 0:
            raise ValueError(
                f"kappa (1 - {name}) <= 1 must hold; got kappa={kappa}, {name}={getattr(recipe, name)}; scale less far"
            )
    epsilon = (recipe.epsilon or (1e-6 if recipe.optimizer == "lamb" else 1e-8)) / square_root(kappa)
    return _at(recipe, kappa, learning_rate=square_root(kappa) * recipe.learning_rate, epsilon=epsilon, **betas)


def adamw_timescale(recipe: Recipe, kappa: int, learning_rate: float) -> Recipe:
    """The weight decay that keeps ``B / (D learning_rate weight_decay)``, the epochs over which AdamW averages.

    Reference: Wang, Aitchison (2024), How to set AdamW's weight decay, arXiv 2405.13698, section 2.
    """
    weight_decay = kappa * recipe.weight_decay * recipe.learning_rate / learning_rate
    return _at(recipe, kappa, learning_rate=learning_rate, weight_decay=weight_decay)


def _at(recipe: Recipe, kappa: int, **changes: object) -> Recipe:
    changes["global_batch_size"] = kappa * recipe.global_batch_size
    return Recipe.model_validate({**recipe.model_dump(), **changes})
