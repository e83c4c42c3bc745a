"""Random numbers that belong to examples, whatever device, process or pass an example falls into.

Each example of the endless stream has a key, each draw of a pass mixes it anew, and the ``n``-th number of the draw is
a hash of key and ``n``: the output function of SplitMix64, Steele, Lea, Flood (2014), Fast splittable pseudorandom
number generators, doi:10.1145/2660193.2660195, figure 15. We depart from it in the increment, which is of 32 bits, for
a compiler may compute ``n`` times it without wrapping round; and leave out its last shift, as only high bits are used.
"""

import math

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)
_INCREMENT = 0x9E3779B9


class ExampleRandom:
    """Draws for the examples of one pass. ``keys``, shape ``(batch,)``, is set before the pass."""

    def __init__(self, keys: Tensor | None = None) -> None:
        self.keys = torch.zeros(0, dtype=torch.int64) if keys is None else keys
        self.num_draws = 0

    def begin(self, keys: Tensor, first_draw: int = 0) -> None:
        """Start a pass over other examples."""
        self.keys, self.num_draws = keys, first_draw

    def uniform(self, *shape: int) -> Tensor:
        """Numbers of [0, 1), float32, shape ``(batch, *shape)``; every call draws new ones."""
        self.num_draws += 1
        keys = _mix(self.keys + self.num_draws)
        counters = torch.arange(math.prod(shape), device=keys.device) * _INCREMENT
        mixed_BN = _mix_high(keys[:, None] + counters)
        return ((mixed_BN >> 40) * 2.0**-24 + 0.5).float().view(-1, *shape)


def example_keys(seed: int, positions: Tensor) -> Tensor:
    """The keys of the examples at ``positions`` of the endless stream, int64, of the same shape."""
    stream = _mix(torch.tensor(seed, device=positions.device) * _GOLDEN)
    return _mix(positions * _GOLDEN + stream)


def _mix(z: Tensor) -> Tensor:
    z = _mix_high(z)
    return z ^ _shifted(z, 31)


def _mix_high(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * _FIRST
    return (z ^ _shifted(z, 27)) * _SECOND


def _shifted(z: Tensor, bits: int) -> Tensor:
    """A logical shift to the right; torch's keeps the sign."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def model_generator(device: torch.device) -> torch.Generator:
    """What a model's own random numbers come from."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator
