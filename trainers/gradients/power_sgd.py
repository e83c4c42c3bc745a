"""Gradients sent between devices as matrices of low rank, the error kept for the next step.

Reference: Vogels, Karimireddy, Jaggi (2019), PowerSGD, arXiv 1905.13727, algorithms 1 and 2: for M = gradient + error,
P = M Q summed over devices and orthonormalised, Q = M' P summed, gradient = P Q'. Tensors for which that would save
less than half are summed as they are.
"""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

RANK = 4


class PowerSgd:
    """Sums gradients over devices in place. ``gradients`` are the tensors that hold them in every step."""

    def __init__(self, gradients: Sequence[Tensor]) -> None:
        self._matrices = [g for g in gradients if _pays(g)]
        self._others = [g for g in gradients if not _pays(g)]
        self._errors = [torch.zeros_like(g.flatten(1)) for g in self._matrices]
        generator = torch.Generator().manual_seed(0)  # every device must begin with the same
        self._Qs = [torch.randn(g[0].numel(), RANK, generator=generator).to(g.device, g.dtype) for g in self._matrices]

    @torch.no_grad()
    def sum_over_devices(self) -> None:
        """Replace each gradient by an approximation of its sum over devices."""
        _sum(self._others)
        Ms = [g.flatten(1) + error for g, error in zip(self._matrices, self._errors, strict=True)]
        Ps = [M @ Q for M, Q in zip(Ms, self._Qs, strict=True)]
        _sum(Ps)
        Ps = [torch.linalg.qr(P).Q for P in Ps]
        Qs = [M.T @ P for M, P in zip(Ms, Ps, strict=True)]
        for error, M, P, Q in zip(self._errors, Ms, Ps, Qs, strict=True):
            torch.sub(M, P @ Q.T, out=error)
        _sum(Qs)
        self._Qs = Qs
        for gradient, P, Q in zip(self._matrices, Ps, Qs, strict=True):
            gradient.copy_((P @ Q.T).view_as(gradient))


def _pays(gradient: Tensor) -> bool:
    rows = gradient.shape[0] if gradient.ndim > 1 else 0
    columns = gradient[0].numel() if gradient.ndim > 1 else 0
    return rows >= RANK and 2 * RANK * (rows + columns) <= rows * columns


def _sum(tensors: Sequence[Tensor]) -> None:
    """All of them in one message."""
    if not tensors:
        return
    message = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.all_reduce(message)
    for tensor, part in zip(tensors, message.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view(tensor.shape))
