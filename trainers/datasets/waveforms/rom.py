"""The (2, 2) mode of a merger of black holes, from a reduced-order model of IMRPhenomT.

    amplitude(t) = a_0(t) + sum_k w_k(q, s1, s2) a_k(t)       w_k = sum_ijl c_ijl,k T_i(x) T_j(y) T_l(z)

and the phase likewise: ``a_k`` are singular vectors on a grid of times, ``T_i`` Chebyshev polynomials, ``x, y, z`` are
log q, s1 and s2 scaled to [-1, 1]. ``build.py`` makes the coefficients. Between the grid's times the vectors are cubic
splines, so that amplitude and phase are. The phase is 0 at the merger and grows.

Shapes: N waveforms, T times, K vectors, J products of polynomials.

References: Estelles et al. (2022), arXiv 2105.05872 (the waveform); Field et al. (2014), arXiv 1308.3565 (reduced-order
models). We depart from the latter in a global polynomial fit, as the domain is small, and in singular vectors at all
times instead of an empirical interpolant.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.waveforms.parameters import MAX_Q, MAX_SPIN, check
from largebatch.trainers.datasets.waveforms.times import ROM_TIMES, Times

COEFFICIENTS = Path(__file__).parent / "phenomt_rom.npz"
_ROWS = 32
"""Waveforms of one matrix product: of a fixed shape, it rounds each row alike whatever batch the row is in."""


class Rom:
    """``rom(q, s1, s2)`` gives amplitude and phase, computed where and in the precision that the parameters have.

    Args:
        times: Where the waveforms are sampled, between -5,000 M and 130 M.
        path: The coefficients.
    """

    name = "IMRPhenomT, reduced-order model"

    def __init__(self, times: Times = ROM_TIMES, path: Path = COEFFICIENTS) -> None:
        from scipy.interpolate import CubicSpline

        values = times.values()
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        grid = arrays.pop("grid").astype(np.float64)
        if values[0] < grid[0] or values[-1] > grid[-1]:
            raise UserError(
                f"times: the reduced-order model covers {grid[0]:g} .. {grid[-1]:g} M; got {values[0]:g} .. "
                f"{values[-1]:g} M; choose times inside, or take the waveforms from NRHybSur3dq8"
            )
        self.times = times
        self._orders = [int(order) for order in arrays.pop("n")]
        for name in ("Am", "AV", "Pm", "PV"):
            arrays[name] = CubicSpline(grid, arrays[name].astype(np.float64), axis=-1)(values).astype(np.float32)
        self._arrays = {name: torch.from_numpy(array) for name, array in arrays.items()}
        self._placed: dict[tuple[torch.device, torch.dtype], dict[str, Tensor]] = {}

    def __call__(self, q: Tensor, s1: Tensor, s2: Tensor) -> tuple[Tensor, Tensor]:
        """Amplitude (of h r / M) and phase (radian), ``(N, T)`` each, from parameters of shape ``(N,)``.

        Differentiable in all three. Mixed precision leaves it alone: a phase needs all its digits.

        Raises:
            UserError: if parameters lie outside 1 <= q <= 8, |s| <= 0.8.
        """
        check(q, s1, s2)
        return self.of_scaled(2 * torch.log(q) / np.log(MAX_Q) - 1, s1 / MAX_SPIN, s2 / MAX_SPIN)

    def of_scaled(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The same from log q, s1 and s2 scaled to [-1, 1]."""
        with torch.autocast(x.device.type, enabled=False):
            factors = (chebyshev(value, order) for value, order in zip((x, y, z), self._orders, strict=True))
            products_NJ = torch.einsum("ni,nj,nk->nijk", *factors).flatten(1)
            arrays = self._on(x.device, x.dtype)
            return _series(products_NJ, arrays, "A"), _series(products_NJ, arrays, "P")

    def _on(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        if (device, dtype) not in self._placed:
            self._placed[device, dtype] = {name: array.to(device, dtype) for name, array in self._arrays.items()}
        return self._placed[device, dtype]


def chebyshev(x_N: Tensor, count: int) -> Tensor:
    """The first ``count`` Chebyshev polynomials at numbers between -1 and 1, shape ``(N, count)``."""
    angle_N = torch.arccos(x_N.detach().clamp(-1, 1))
    values = torch.cos(torch.arange(count, device=x_N.device) * angle_N[:, None])
    if not x_N.requires_grad:
        return values
    recurrence = [torch.ones_like(x_N), x_N]  # has a slope at -1 and 1, where the arc cosine has none
    while len(recurrence) < count:
        recurrence.append(2 * x_N * recurrence[-1] - recurrence[-2])
    slope = torch.stack(recurrence, dim=1)
    return values + (slope - slope.detach())


def _series(products_NJ: Tensor, arrays: dict[str, Tensor], name: str) -> Tensor:
    """Mean and vectors times their weights, shape ``(N, T)``."""
    count = len(products_NJ)
    padding = products_NJ[:1].expand(-count % _ROWS, -1)
    blocks = torch.cat([products_NJ, padding]).unflatten(0, (-1, _ROWS))
    weights = torch.bmm(blocks, arrays[name + "c"].expand(len(blocks), -1, -1))
    series = torch.baddbmm(arrays[name + "m"], weights, arrays[name + "V"].expand(len(blocks), -1, -1))
    return series.flatten(0, 1)[:count]
