"""A flag that is summed with the gradients, read by the processor without waiting for the step that sets it."""

import torch
from torch import Tensor


class LaggedFlag:
    """On a GPU ``update`` tells the flag of the step before, which has ended by then; elsewhere that of this step."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        if self._cuda:
            self._copy = torch.zeros(1, pin_memory=True)
            self._copied = torch.cuda.Event()

    def update(self, flag: Tensor) -> bool:
        """Hand in this step's flag, a tensor of one element."""
        if not self._cuda:
            return bool(flag.item())
        self._copied.synchronize()
        told = bool(self._copy.item())
        self._copy.copy_(flag.view(1), non_blocking=True)
        self._copied.record()
        return told
