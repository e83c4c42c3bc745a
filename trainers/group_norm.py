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


class GroupedBatchNorm(nn.Module):
    """Takes the place of a ``BatchNorm``; parameter and buffer names stay.

    ``num_groups`` is set before each training pass. ``statistics``, shape ``(2, C)``, sums the mean and the unbiased
    variance of every group until ``update_running_statistics``.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, source: _BatchNorm) -> None:
        super().__init__()
        if source.running_mean is None or source.running_var is None:
            raise ValueError("a batch normalisation without running statistics cannot be evaluated; enable them")
        self.weight, self.bias, self.eps = source.weight, source.bias, source.eps
        self.momentum = 0.1 if source.momentum is None else source.momentum
        self.register_buffer("running_mean", source.running_mean)
        self.register_buffer("running_var", source.running_var)
        self.register_buffer("num_batches_tracked", source.num_batches_tracked)
        self.statistics = torch.zeros(2, source.num_features, dtype=source.running_mean.dtype)
        self.num_groups = 1

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(n G, C, ..)``: by group in training, by the running statistics in evaluation."""
        if not self.training:
            return batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
            )
        groups, channels = self.num_groups, x.shape[1]
        statistics = torch.zeros(2, groups * channels, dtype=self.running_mean.dtype, device=x.device)
        grouped = x.reshape(x.shape[0] // groups, groups * channels, *x.shape[2:])
        weight: Tensor | None = self.weight
        bias: Tensor | None = self.bias
        if groups > 1 and weight is not None and bias is not None:
            weight, bias = weight.repeat(groups), bias.repeat(groups)
        mean, variance = statistics.unbind()
        y = batch_norm(grouped, mean, variance, weight, bias, training=True, momentum=1.0, eps=self.eps)
        self.statistics += statistics.view(2, groups, channels).sum(1) if groups > 1 else statistics
        return y.reshape(x.shape)

    def update_running_statistics(self, num_groups: int) -> None:
        """Take one step of the running averages; ``statistics`` holds the sum over all ``num_groups`` of the step.

        The averages forget at a fixed rate in examples, not in steps: ``1 - (1 - momentum)^num_groups``, the half-life
        rule of Busbridge et al. (2023), arXiv 2307.13813. A rate a step would lag behind at large batches.
        """
        momentum = 1 - (1 - self.momentum) ** num_groups
        self.running_mean.lerp_(self.statistics[0] / num_groups, momentum)
        self.running_var.lerp_(self.statistics[1] / num_groups, momentum)
        self.num_batches_tracked += 1


def group_batch_norms(model: nn.Module) -> list[GroupedBatchNorm]:
    """Replace every batch normalisation inside ``model`` and return the replacements, in the model's order."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm):
                parent.add_module(name, GroupedBatchNorm(child))
    return [module for module in model.modules() if isinstance(module, GroupedBatchNorm)]
