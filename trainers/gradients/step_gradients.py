"""The gradients of one step: accumulated over passes, summed over devices while the backward pass still runs.

On one device gradients stay where autograd puts them. Over several they are views of one flat buffer, in the order in
which the backward pass makes them, cut into buckets; each is summed as soon as the last pass has filled it, as in Li et
al. (2020), PyTorch Distributed, arXiv 2006.15704, section 3.2. What else is summed over devices (``extras``: batch
statistics, losses) goes with the last bucket.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from largebatch.trainers.gradients.power_sgd import PowerSgd

BUCKET_BYTES = 25 * 2**20


class StepGradients:
    """Gradients of ``parameters`` and a buffer of ``num_extras`` numbers.

    Args:
        parameters: All that are trained, in the model's order, of one type.
        num_extras: Other numbers to sum.
        num_devices: Processes that hold the same parameters; 1 sums nothing.
        compression: How gradients travel between devices.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        num_extras: int,
        num_devices: int,
        compression: Literal["none", "bfloat16", "powersgd"],
    ) -> None:
        self._parameters = list(parameters)
        self._distributed = num_devices > 1
        self._compression = compression
        self._overlapping = False
        sizes = [parameter.numel() for parameter in reversed(self._parameters)] if self._distributed else []
        first = self._parameters[0]
        flat = torch.zeros(sum(sizes) + num_extras, dtype=first.dtype, device=first.device)
        self._flat, self.extras = flat[: sum(sizes)], flat[sum(sizes) :]
        self._buckets: list[Tensor] = []
        self._missing: list[int] = []
        self._works: list[tuple[Tensor, Tensor, dist.Work]] = []
        self._power_sgd: PowerSgd | None = None
        if self._distributed:
            self._views = [
                self._view(p, v) for p, v in zip(self._parameters, reversed(self._flat.split(sizes)), strict=True)
            ]
            self._cut_buckets(flat, sizes)
            if compression == "powersgd":
                self._power_sgd = PowerSgd(self._views)

    @property
    def num_summed_bytes(self) -> int:
        """Bytes that a step sums over devices, without compression."""
        return (sum(p.numel() for p in self._parameters) + self.extras.numel()) * self.extras.element_size()

    def tensors(self) -> list[Tensor]:
        """The gradient of each parameter so far; zero where it had no part."""
        gradients = []
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        return gradients

    def begin(self) -> None:
        """Forget the gradients and extras of the step before."""
        if self._distributed:
            self._flat.zero_()
            for parameter, view in zip(self._parameters, self._views, strict=True):
                parameter.grad = view
        else:
            for parameter in self._parameters:
                parameter.grad = None
        self.extras.zero_()

    def overlap(self) -> None:
        """Sum buckets during the next backward pass, the last one of the step."""
        if self._distributed and self._power_sgd is None:
            self._overlapping = True
            self._left = self._missing.copy()

    def finish(self) -> None:
        """Wait until all that is not yet summed is; every parameter then has a gradient."""
        if not self._distributed:
            self.tensors()  # no part means zero, as it would over several devices
            return
        self._overlapping = False
        if self._power_sgd is not None:
            self._power_sgd.sum_over_devices()
            dist.all_reduce(self.extras)
            return
        while len(self._works) < len(self._buckets):
            self._send()
        for bucket, sent, work in self._works:
            work.wait()
            if sent is not bucket:
                bucket.copy_(sent)
        self._works.clear()

    def _cut_buckets(self, flat: Tensor, sizes: list[int]) -> None:
        """Slices of ``flat`` of about ``BUCKET_BYTES``; the last, with the extras, is never sent before ``finish``."""
        ends, last, filled = [0], len(sizes) - 1, 0
        bucket_of: list[int] = []
        for index, size in enumerate(sizes):
            bucket_of.append(len(ends) - 1)
            filled += size
            if (filled - ends[-1]) * flat.element_size() >= BUCKET_BYTES and index < last:
                ends.append(filled)
        self._missing = [bucket_of.count(bucket) for bucket in range(len(ends))]
        ends.append(filled)
        if self._compression == "none":
            ends[-1] = flat.numel()
        else:
            ends.append(flat.numel())
        self._buckets = [flat[start:end] for start, end in pairwise(ends)]
        self._num_gradient_buckets = len(self._missing)
        for parameter, bucket in zip(reversed(self._parameters), bucket_of, strict=True):
            if bucket < len(self._buckets) - 1:
                parameter.register_post_accumulate_grad_hook(self._arrival(bucket))

    def _arrival(self, bucket: int) -> Callable[[Tensor], None]:
        def arrived(parameter: Tensor) -> None:
            del parameter
            if self._overlapping:
                self._left[bucket] -= 1
                # in the same order on every device, or sums would not meet
                while len(self._works) < len(self._buckets) - 1 and self._left[len(self._works)] == 0:
                    self._send()

        return arrived

    def _send(self) -> None:
        """Start to sum the next bucket."""
        index = len(self._works)
        bucket = self._buckets[index]
        compressed = self._compression == "bfloat16" and index < self._num_gradient_buckets
        sent = bucket.bfloat16() if compressed else bucket
        work = dist.all_reduce(sent, async_op=True)
        assert work is not None
        self._works.append((bucket, sent, work))

    @staticmethod
    def _view(parameter: nn.Parameter, slice_: Tensor) -> Tensor:
        """A view with the parameter's own strides, into which autograd accumulates fastest."""
        return slice_.as_strided(parameter.shape, parameter.stride(), slice_.storage_offset())
