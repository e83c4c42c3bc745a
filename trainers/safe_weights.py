"""The weights of a checkpoint in a format that every library reads and that holds nothing but tensors: safetensors."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from largebatch.trainers.checkpoint import load_checkpoint


def write_safetensors(checkpoint: Path, path: Path) -> None:
    """Write the weights of ``checkpoint`` to ``path``."""
    weights = load_checkpoint(checkpoint, torch.device("cpu"))["weights"]
    save_file({name: tensor.contiguous().clone() for name, tensor in weights.items()}, path)  # tied ones are copied
