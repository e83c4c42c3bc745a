"""Torch's Muon over the hidden layers of any network: convolutions are matrices of one row an output channel.

Reference: Jordan et al. (2024), Muon, https://kellerjordan.github.io/posts/muon; Liu et al. (2025), arXiv 2502.16982,
equation 4, for the factor that gives its updates the size of AdamW's, so that one learning rate serves both.
"""

from typing import Any

from torch import Tensor, nn, optim

from largebatch.spaces.errors import UserError


class MatrixMuon:
    """``torch.optim.Muon`` on matrices that share their memory with ``weights`` of two or more dimensions."""

    def __init__(self, weights: list[Tensor], *, lr: float, momentum: float, weight_decay: float) -> None:
        if not hasattr(optim, "Muon"):
            raise UserError("optimizer: muon needs torch 2.9 or newer; update torch or choose another optimizer")
        self._weights = weights
        self._matrices = [nn.Parameter(_matrix(weight.detach())) for weight in weights]
        self._muon = optim.Muon(
            self._matrices, lr=lr, momentum=momentum, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The one group of all matrices."""
        return self._muon.param_groups

    def step(self) -> None:
        """Take one step with the gradients that the weights hold."""
        for weight, matrix in zip(self._weights, self._matrices, strict=True):
            matrix.grad = None if weight.grad is None else _matrix(weight.grad)
        self._muon.step()

    def state_dict(self) -> dict[str, Any]:
        """Torch's own."""
        return self._muon.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        self._muon.load_state_dict(state)


def _matrix(weight: Tensor) -> Tensor:
    """A view with one row an output channel; the order of columns is the memory's and does not matter to Muon."""
    if not weight.is_contiguous() and weight.ndim == 4:
        weight = weight.permute(0, 2, 3, 1)
    return weight.flatten(1)
