"""The optimizer of a recipe: torch's own where torch has it. Biases and norms do not decay unless asked."""

from typing import Any, Protocol

import torch
from torch import Tensor, nn, optim

from largebatch.spaces.recipe import Recipe
from largebatch.trainers.optimizers.lamb import Lamb
from largebatch.trainers.optimizers.lars import Lars
from largebatch.trainers.optimizers.matrix_muon import MatrixMuon

STALE = 1e-3
"""First over root of second moment, below which a weight's gradient has long been zero."""
LEAST_SHARE = 0.01
"""Of the mean over rows that a second moment is taken for at least: a smaller one is of few gradients."""


class Optimizer(Protocol):
    """What the loop needs of an optimizer; the learning rate of its groups is set before every step."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Parameters with their settings."""

    def step(self) -> Any:
        """Take one step."""

    def state_dict(self) -> dict[str, Any]:
        """All that resuming needs."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""


def make_optimizers(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
    """The recipe's optimizer over ``model``: one, or two where its rule holds for a part of the weights alone.

    ``sgd`` is Polyak's heavy ball; ``nesterov`` as in Sutskever et al. (2013); ``adam`` adds the decay to the gradient,
    ``adamw`` decouples it: Loshchilov, Hutter (2019), arXiv 1711.05101. ``muon`` moves the hidden matrices and leaves
    embeddings, the first and the last layer, biases and norms to AdamW.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rate, betas = recipe.learning_rate, (recipe.beta1, recipe.beta2)
    groups = _groups(parameters, recipe)
    match recipe.optimizer:
        case "sgd" | "nesterov":
            nesterov = recipe.optimizer == "nesterov" and recipe.momentum > 0
            return [optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=nesterov, fused=True)]
        case "adam":
            return [optim.Adam(groups, lr=rate, betas=betas, eps=recipe.epsilon or 1e-8, fused=True)]
        case "adamw":
            return [optim.AdamW(groups, lr=rate, betas=betas, eps=recipe.epsilon or 1e-8, fused=True)]
        case "lars":
            return [
                Lars(
                    groups, lr=rate, momentum=recipe.momentum, trust_coefficient=recipe.trust_coefficient,
                    momentum_correction=recipe.momentum_correction == "rate",
                )
            ]  # fmt: skip
        case "lamb":
            return [Lamb(groups, lr=rate, betas=betas, eps=recipe.epsilon or 1e-6)]
        case "muon":
            hidden = _hidden(model)
            taken = {id(weight) for weight in hidden}
            rest = _groups([parameter for parameter in parameters if id(parameter) not in taken], recipe)
            found: list[Optimizer] = []
            if hidden:
                found.append(MatrixMuon(hidden, lr=rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay))
            if rest:  # all but hidden matrices may be frozen
                found.append(optim.AdamW(rest, lr=rate, betas=betas, eps=recipe.epsilon or 1e-8, fused=True))
            return found


def second_moment_scales(optimizers: list[Optimizer], recipe: Recipe) -> dict[Tensor, Tensor] | None:
    """``1 / (sqrt(vhat) + epsilon)`` of every weight that an Adam-like optimizer moves; None before its first step.

    In the space scaled by it, Adam is gradient descent. Two things keep what is rarely seen, as a row of an embedding,
    from drowning all else: a gradient over a root that is nearly zero is anything up to ``1 / epsilon`` times that of
    another weight. The scale is zero where the first moment is less than ``STALE`` of ``sqrt(v)``: there the gradient
    has been zero for some 80 steps at the usual betas, and ``v`` decayed. And ``v`` is taken for no less than
    ``LEAST_SHARE`` of its mean over rows. A weight with a gradient in each step is below the first bound by chance in
    0.4 % of the steps, whatever its scale, and below the second where those of other rows are ten times as large.
    """
    if recipe.optimizer not in ("adam", "adamw", "lamb"):
        return None
    (optimizer,) = optimizers
    assert isinstance(optimizer, optim.Optimizer)
    scales: dict[Tensor, Tensor] = {}
    for group in optimizer.param_groups:
        for weight in group["params"]:
            state = optimizer.state[weight]
            if not state:
                return None
            step = float(state.get("step", group.get("step")))
            correction = 1 - recipe.beta2**step
            second = state["exp_avg_sq"]
            fresh = state["exp_avg"].abs() > STALE * second.sqrt()
            scale = (torch.maximum(second, _least(second)) / correction).sqrt_().add_(group["eps"]).reciprocal_()
            scales[weight] = scale.mul_(fresh)
    return scales


def _least(second: Tensor) -> Tensor:
    return LEAST_SHARE * second.mean(0, keepdim=True)


def _groups(parameters: list[nn.Parameter], recipe: Recipe) -> list[dict[str, Any]]:
    """Matrices, and biases and norms; the latter without layer-wise steps, and without decay unless asked."""
    small_decay = recipe.weight_decay if recipe.decayed_weights == "all" else 0.0
    layerwise = {"layerwise": True} if recipe.optimizer in ("lars", "lamb") else {}
    alike = {"layerwise": False} if layerwise else {}
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay, **layerwise},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": small_decay, **alike},
    ]
    return [group for group in groups if group["params"]]


def _hidden(model: nn.Module) -> list[Tensor]:
    """Trained matrices between the model's first and its last: which these are does not depend on what is frozen."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    matrices = [p for p in model.parameters() if p.ndim > 1 and id(p) not in embeddings]
    return [p for p in matrices[1:-1] if p.requires_grad]
