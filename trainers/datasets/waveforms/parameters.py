"""Mass ratio and spins of two merging black holes: their domain, the labels learnt from them, the paper's grids.

    q    mass ratio, heavier to lighter        chi_eff = (q s1 + s2) / (q + 1)
    s1   spin of the heavier along the orbit   S_eff   = (1 + 3 / (4 q)) s1 + (1 + 3 q / 4) s2
    s2   of the lighter

Spins are dimensionless. N: waveforms.

Reference: Khan, Huerta, Das (2020), Phys. Lett. B 808, 135628, arXiv 2004.09524. The validation grid, which the paper
does not give, is the midpoints that its test grid leaves out.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from largebatch.spaces.errors import UserError

MAX_Q = 8.0
MAX_SPIN = 0.8
NAMES = ("q", "s1", "s2", "chi_eff", "S_eff")

CENTRES = (4.5, 0.0, 0.0, 0.0, 0.0)
HALF_RANGES = (3.5, 0.8, 0.8, 0.8, 6.475)
"""Of the labels: ``(label - centre) / half_range`` lies between -1 and 1."""


def check(q: Tensor, s1: Tensor, s2: Tensor) -> None:
    """Refuse parameters outside the domain of the waveforms.

    Raises:
        UserError: naming the rule and the first value that breaks it.
    """
    outside = ((q < 1) | (q > MAX_Q)) | ((s1.abs() > MAX_SPIN) | (s2.abs() > MAX_SPIN))
    if outside.any():
        first = [float(values.detach()[outside][0]) for values in (q, s1, s2)]
        raise UserError(
            f"waveform parameters: 1 <= q <= {MAX_Q:g}, |s1| <= {MAX_SPIN:g} and |s2| <= {MAX_SPIN:g} must hold; got "
            f"q={first[0]:g}, s1={first[1]:g}, s2={first[2]:g}; choose parameters inside: the models were made there"
        )


def labels(q: Tensor, s1: Tensor, s2: Tensor) -> Tensor:
    """``q, s1, s2, chi_eff, S_eff``, shape ``(N, 5)``, from parameters of shape ``(N,)``."""
    chi_eff = (q * s1 + s2) / (q + 1)
    s_eff = (1 + 3 / (4 * q)) * s1 + (1 + 3 * q / 4) * s2
    return torch.stack([q, s1, s2, chi_eff, s_eff], dim=1)


def scaled(labels: Tensor) -> Tensor:
    """Labels between -1 and 1."""
    return (labels - labels.new_tensor(CENTRES)) / labels.new_tensor(HALF_RANGES)


def unscaled(scaled_labels: Tensor) -> Tensor:
    """The labels again."""
    return scaled_labels * scaled_labels.new_tensor(HALF_RANGES) + scaled_labels.new_tensor(CENTRES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """``count`` evenly spaced values of one parameter."""

    first: float
    step: float
    count: int

    def every(self, stride: int) -> "Axis":
        """Each ``stride``-th value."""
        return Axis(first=self.first, step=self.step * stride, count=-(-self.count // stride))

    @property
    def last(self) -> float:
        """The largest value."""
        return self.first + self.step * (self.count - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """All combinations of the values of a mass ratio's and a spin's axis; both spins have the same."""

    q: Axis
    spin: Axis

    def __post_init__(self) -> None:
        ends = [torch.tensor(values, dtype=torch.float64) for values in zip(*(
            (q, spin, spin) for q in (self.q.first, self.q.last) for spin in (self.spin.first, self.spin.last)
        ), strict=True)]  # fmt: skip
        check(*ends)

    def __len__(self) -> int:
        return self.q.count * self.spin.count**2

    def every(self, *, q: int, spin: int) -> "Grid":
        """Each ``q``-th mass ratio and each ``spin``-th spin."""
        return Grid(q=self.q.every(q), spin=self.spin.every(spin))

    def parameters(self, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``q, s1, s2`` of the points at ``indices``, int64 of shape ``(N,)``; float32 of the same shape.

        Neighbours in index lie far apart in the grid, so that the first points are a fair sample of all.
        """
        places = indices * self._stride % len(self)
        spins = self.spin.count
        counts = (places // spins**2, places // spins % spins, places % spins)
        axes = (self.q, self.spin, self.spin)
        q, s1, s2 = (axis.first + axis.step * count.float() for axis, count in zip(axes, counts, strict=True))
        return q, s1, s2

    @property
    def _stride(self) -> int:
        """The number nearest below the golden section of the grid that shares no factor with its size."""
        stride = max(1, int(len(self) * (math.sqrt(5) - 1) / 2))
        while math.gcd(stride, len(self)) > 1:
            stride -= 1
        return stride


TRAIN = Grid(q=Axis(first=1.0, step=0.08, count=88), spin=Axis(first=-0.8, step=0.012, count=134))
TEST = Grid(q=Axis(first=1.04, step=0.16, count=44), spin=Axis(first=-0.794, step=0.024, count=67))
VALIDATION = Grid(q=Axis(first=1.12, step=0.16, count=43), spin=Axis(first=-0.782, step=0.024, count=66))
VALIDATION_SAMPLE = VALIDATION.every(q=3, spin=3)
"""7,260 points: what a task of full size evaluates on."""
