"""LAMB: Adam whose layers each take a step in proportion to their weights.

Reference: You et al. (2020), arXiv 1904.00962, algorithm 2, with the bias correction of its first version and the trust
ratio |w| / |r| not clipped:
    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2
    r = mhat / (sqrt(vhat) + epsilon) + lambda w
    w <- w - eta trust r,  trust = |w| / |r|, 1 where a norm is 0
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, optim


class Lamb(optim.Optimizer):
    """LAMB over parameter groups; a group with ``layerwise`` False has trust 1 (biases and norms)."""

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0, "layerwise": True, "step": 0}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step with the gradients that the parameters hold."""
        del closure
        for group in self.param_groups:
            group["step"] += 1
            beta1, beta2 = group["betas"]
            weights = [weight for weight in group["params"] if weight.grad is not None]
            gradients = [weight.grad for weight in weights]
            first = [self._moments(weight)["exp_avg"] for weight in weights]
            second = [self._moments(weight)["exp_avg_sq"] for weight in weights]
            torch._foreach_lerp_(first, gradients, 1 - beta1)
            torch._foreach_mul_(second, beta2)
            torch._foreach_addcmul_(second, gradients, gradients, 1 - beta2)
            scale = torch._foreach_sqrt(second)
            torch._foreach_div_(scale, math.sqrt(1 - beta2 ** group["step"]))
            torch._foreach_add_(scale, group["eps"])
            torch._foreach_mul_(scale, 1 - beta1 ** group["step"])
            updates = torch._foreach_div(first, scale)
            torch._foreach_add_(updates, weights, alpha=group["weight_decay"])
            if group["layerwise"]:
                torch._foreach_mul_(updates, _trust(weights, updates))
            torch._foreach_add_(weights, updates, alpha=-group["lr"])

    def _moments(self, weight: Tensor) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.state[weight]
        if not state:
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        return state


def _trust(weights: list[Tensor], updates: tuple[Tensor, ...]) -> list[Tensor]:
    weight_L, update_L = torch.stack(torch._foreach_norm(weights)), torch.stack(torch._foreach_norm(updates))
    trust_L = torch.where((weight_L > 0) & (update_L > 0), weight_L / update_L, torch.ones_like(weight_L))
    return list(trust_L.unbind())
