"""A WaveNet that reads the masses and spins of two merging black holes off their gravitational wave.

References: Khan, Huerta, Das (2020), Phys. Lett. B 808, 135628, arXiv 2004.09524, whose model the defaults build; van
den Oord et al. (2016), arXiv 1609.03499, for the block, here not causal. Its convolutions pad as Keras does and start
as there: Glorot, Bengio (2010), PMLR 9:249, with biases at zero. We depart from it in one convolution of twice the
channels for filter and gate, which computes the same.

N: waveforms; L: samples of each; C: channels; W: the width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from largebatch.spaces.errors import UserError

PAPER_DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128) * 2


class WaveNet(nn.Module):
    """Gated blocks, the sum of their skips, a tail of one channel, two heads on its last samples.

    Args:
        width: Channels between blocks; the gates have 2 and the tail 8 times as many.
        dilations: Of the blocks, in samples.
        last_samples: How many samples the heads see; waveforms may be of any length from there on.
        head_width: Hidden units of each head.
        norm_momentum: How much of the running statistics a group of examples replaces.
        recompute: Compute the blocks again in the backward pass instead of keeping what is inside them: 0.3 instead of
            1.8 GB a waveform of 101,300 samples, for about a quarter more time. It needs the batch normalisation of
            ``Training``, whose statistics a second pass leaves as they are; torch's own would count every step twice.
    """

    def __init__(
        self,
        *,
        width: int = 16,
        dilations: Sequence[int] = PAPER_DILATIONS,
        last_samples: int = 10_000,
        head_width: int = 512,
        norm_momentum: float = 0.01,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.last_samples, self.recompute = last_samples, recompute
        self.blocks = nn.ModuleList(
            GatedBlock(width if index else 1, width, dilation) for index, dilation in enumerate(dilations)
        )
        self.tail = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(width, 8 * width, 1),
            nn.BatchNorm1d(8 * width),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv1d(8 * width, 1, 1),
            nn.BatchNorm1d(1),
        )
        self.mass_head = _head(last_samples, head_width, 1)
        self.spin_head = _head(last_samples, head_width, 4)
        self._initialise(norm_momentum)

    def _initialise(self, norm_momentum: float) -> None:
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eps, module.momentum = 1e-3, norm_momentum
            elif isinstance(module, nn.Conv1d | nn.Linear) and module.bias is not None:
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            assert isinstance(block, GatedBlock)
            for half in block.gates.weight.detach().chunk(2):
                nn.init.xavier_uniform_(half)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 1, L)`` waveforms to ``(N, 5)``: mass ratio, the two spins, effective spins chi_eff and S_eff."""
        if x.shape[-1] < self.last_samples:
            raise UserError(
                f"last_samples: the heads need the last {self.last_samples} samples, and the waveforms have "
                f"{x.shape[-1]}; make them longer or last_samples smaller"
            )
        skips: Tensor | None = None
        for block in self.blocks:
            if self.recompute and torch.is_grad_enabled():
                x, skip = checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x, skip = block(x)
            skips = skip if skips is None else skips + skip
        last = self.tail(skips)[:, 0, -self.last_samples :]
        return torch.cat([self.mass_head(last), self.spin_head(last)], dim=1)


class GatedBlock(nn.Module):
    """``(N, C, L)`` to the next block's input and the skip, ``(N, W, L)`` each."""

    def __init__(self, in_channels: int, width: int, dilation: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv1d(in_channels, width, 1), nn.BatchNorm1d(width), nn.ReLU())
        # Keras's "same" puts dilation // 2 zeros before and the rest after: where that is odd, one before is too many
        self.gates = nn.Conv1d(width, 4 * width, 2, dilation=dilation, padding=(dilation + 1) // 2)
        self.surplus = dilation % 2
        self.gates_norm = nn.BatchNorm1d(4 * width)
        self.leave = nn.Sequential(nn.Conv1d(2 * width, width, 1), nn.BatchNorm1d(width), nn.ReLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the block."""
        x = self.enter(x)
        filters, gates = self.gates_norm(self.gates(x)[..., self.surplus :]).chunk(2, dim=1)
        skip: Tensor = self.leave(filters.tanh() * gates.sigmoid())
        return x + skip, skip


def _head(num_inputs: int, width: int, num_outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(num_inputs, width), nn.ReLU(), nn.Linear(width, num_outputs))
