"""Weights and batch statistics at random, so that whatever a model does with them shows."""

from typing import TypeVar

import torch
from torch import nn

ModelT = TypeVar("ModelT", bound=nn.Module)


def randomised(model: ModelT) -> ModelT:
    """The model in float64 and evaluation, where running statistics count."""
    generator = torch.Generator().manual_seed(1)
    model = model.double().eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.ndim == 1:
            tensor.normal_(generator=generator)
        elif tensor.ndim > 1:
            tensor.normal_(std=tensor[0].numel() ** -0.5, generator=generator)
    return model
