"""Batch normalisation over groups of examples: the statistics of every virtual worker, in one pass.

A pass holds ``G`` groups, their examples interleaved: example ``i`` belongs to group ``i % G``. Then ``(n G, C, ..)``
viewed as ``(n, G C, ..)`` puts each group into channels of its own, and one fused kernel normalises all of them.

Reference: Hoffer, Hubara, Soudry (2017), arXiv 1705.08741, section 4 ("ghost batch normalisation"). We depart from it
in the running statistics: one update a step, with the mean over all groups of the step, whatever their split.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from largebatch.spaces.errors import UserError


class GroupedBatchNorm(nn.Module):
    """Takes the place of a ``BatchNorm``; names stay. ``BatchStatistics`` sets its group attributes for each pass."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, source: _BatchNorm) -> None:
        super().__init__()
        if source.running_mean is None or source.running_var is None:
            raise UserError(
                "task: a batch normalisation without running statistics cannot be evaluated; leave out "
                "track_running_stats=False"
            )
        self.weight, self.bias, self.eps = source.weight, source.bias, source.eps
        self.momentum = 0.1 if source.momentum is None else source.momentum
        self.register_buffer("running_mean", source.running_mean)
        self.register_buffer("running_var", source.running_var)
        self.register_buffer("num_batches_tracked", source.num_batches_tracked)
        self.num_groups = 1
        self.group_mean, self.group_var = torch.zeros(0), torch.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(n G, C, ..)``: by group in training, by the running statistics in evaluation."""
        if not self.training:
            return batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        groups, mean, var = self.num_groups, self.group_mean, self.group_var
        if groups == 1:
            return batch_norm(x, mean, var, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)
        grouped = x.reshape(x.shape[0] // groups, groups * x.shape[1], *x.shape[2:])
        weight: Tensor | None = self.weight
        bias: Tensor | None = self.bias
        if weight is not None and bias is not None:
            weight, bias = weight.repeat(groups), bias.repeat(groups)
        y = batch_norm(grouped, mean, var, weight, bias, training=True, momentum=1.0, eps=self.eps)
        return y.reshape(x.shape)


class BatchStatistics:
    """The statistics of all normalisations of a model: those of a pass, of a step, and the running ones.

    Each kind lies in one flat tensor, so that a step takes a few operations for all layers together.
    ``size`` numbers are summed over the groups of a step in ``sums``, which the owner places.
    """

    def __init__(self, model: nn.Module) -> None:
        self._norms = [module for module in model.modules() if isinstance(module, GroupedBatchNorm)]
        self._widths = [norm.running_mean.numel() for norm in self._norms]
        self.size = 2 * sum(self._widths)
        self.sums = torch.zeros(0)
        self._passes: dict[
            int, tuple[Tensor, Tensor]
        ] = {}  # groups of a pass -> its statistics, their order by channel
        self._shares: dict[int, Tensor] = {}  # groups of a step -> share of the new in the running statistics
        if self._norms:
            self._flatten()

    def __bool__(self) -> bool:
        return bool(self._norms)

    def begin_pass(self, num_groups: int) -> None:
        """Make every layer ready for a pass of ``num_groups`` groups."""
        if not self._norms:
            return
        if num_groups not in self._passes:
            self._passes[num_groups] = self._new_pass(num_groups)
        if self._norms[0].num_groups == num_groups and self._norms[0].group_mean.numel():
            return
        lengths = [num_groups * width for width in self._widths for _ in range(2)]
        views = self._passes[num_groups][0].split(lengths)
        for norm, mean, var in zip(self._norms, views[::2], views[1::2], strict=True):
            norm.num_groups, norm.group_mean, norm.group_var = num_groups, mean, var

    def end_pass(self, num_groups: int) -> None:
        """Add the mean and the unbiased variance of every group of the pass to ``sums``."""
        if not self._norms:
            return
        statistics, order = self._passes[num_groups]
        self.sums += statistics if num_groups == 1 else statistics[order].view(-1, num_groups).sum(1)

    def end_step(self, num_groups: int) -> None:
        """Take one step of the running averages; ``sums`` holds the sum over all ``num_groups`` of the step.

        The averages forget at a fixed rate in examples, not in steps, as ``spaces.rule.half_life`` has it: at a fixed
        rate a step they would lag behind at large batches.
        """
        if self._norms:
            if num_groups not in self._shares:
                self._shares[num_groups] = 1 - self._kept**num_groups
            with torch.no_grad():
                self._running.lerp_(self.sums.div_(num_groups), self._shares[num_groups])
                self._tracked += 1

    def _flatten(self) -> None:
        first = self._norms[0].running_mean
        self._running = torch.cat([t for norm in self._norms for t in (norm.running_mean, norm.running_var)])
        self._tracked = torch.stack([norm.num_batches_tracked for norm in self._norms])
        self._kept = torch.cat(
            [torch.full_like(norm.running_mean, 1 - norm.momentum).repeat(2) for norm in self._norms]
        )
        views = self._running.split([width for width in self._widths for _ in range(2)])
        for index, norm in enumerate(self._norms):
            norm.running_mean, norm.running_var = views[2 * index], views[2 * index + 1]
            norm.num_batches_tracked = self._tracked[index]
        self.sums = torch.zeros(self.size, dtype=first.dtype, device=first.device)

    def _new_pass(self, num_groups: int) -> tuple[Tensor, Tensor]:
        statistics = torch.zeros(num_groups * self.size, dtype=self._running.dtype, device=self._running.device)
        order, start = [], 0
        for width in self._widths:
            for _ in range(2):
                block = torch.arange(start, start + num_groups * width).view(num_groups, width)
                order.append(block.T.reshape(-1))
                start += num_groups * width
        return statistics, torch.cat(order).to(statistics.device)


def group_batch_norms(model: nn.Module) -> None:
    """Replace every batch normalisation inside ``model`` that is in training mode.

    One that its model keeps in evaluation mode is frozen: it has no statistics of a batch.
    """
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and child.training:
                parent.add_module(name, GroupedBatchNorm(child))
