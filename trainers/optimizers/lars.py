"""LARS: stochastic gradient descent whose layers each take a step in proportion to their weights.

Reference: You, Gitman, Ginsburg (2017), arXiv 1708.03888, algorithm 1:
    trust = eeta |w| / (|g| + lambda |w|), 1 where a norm is 0
    m <- mu m + eta trust (g + lambda w)
    w <- w - m
with an epsilon in the denominator. Momentum correction is Goyal et al. (2017), arXiv 1706.02677, remark 2: as the rate
is inside m, m is multiplied by eta_t / eta_(t-1) when the rate changes.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, optim

EPSILON = 1e-9


class Lars(optim.Optimizer):
    """LARS over parameter groups; a group with ``layerwise`` False has trust 1 (biases and norms)."""

    def __init__(
        self, groups: Iterable[dict[str, Any]], *, lr: float, momentum: float, trust_coefficient: float,
        momentum_correction: bool,
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "momentum": momentum, "trust_coefficient": trust_coefficient, "last_lr": 0.0,
                    "momentum_correction": momentum_correction, "weight_decay": 0.0, "layerwise": True}  # fmt: skip
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step with the gradients that the parameters hold."""
        del closure
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            gradients = [weight.grad for weight in weights]
            updates = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
            if group["layerwise"]:
                torch._foreach_mul_(updates, _trust(weights, gradients, group))
            buffers = [self._buffer(weight) for weight in weights]
            if group["momentum_correction"] and group["last_lr"] > 0:
                torch._foreach_mul_(buffers, group["lr"] / group["last_lr"])
            group["last_lr"] = group["lr"]
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, updates, alpha=group["lr"])
            torch._foreach_sub_(weights, buffers)

    def _buffer(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _trust(weights: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
    """The trust ratio of each layer, tensors without dimensions: no value has to come to the processor."""
    weight_L = torch.stack(torch._foreach_norm(weights))
    gradient_L = torch.stack(torch._foreach_norm(gradients))
    trust_L = group["trust_coefficient"] * weight_L / (gradient_L + group["weight_decay"] * weight_L + EPSILON)
    return list(torch.where((weight_L > 0) & (gradient_L > 0), trust_L, torch.ones_like(trust_L)).unbind())
