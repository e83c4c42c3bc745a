"""The weights of a checkpoint in a format that every library reads and that holds nothing but tensors: safetensors."""

import os
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from largebatch.trainers.checkpoint import load_checkpoint


def write_safetensors(checkpoint: Path, path: Path) -> None:
    """Write the weights of ``checkpoint`` to ``path``.

    Raises:
        OSError: if they cannot be written.
    """
    weights = load_checkpoint(checkpoint, torch.device("cpu"))["weights"]
    copies = {name: tensor.contiguous().clone() for name, tensor in weights.items()}  # of tied ones, too
    try:
        save_file(copies, path)
    except SafetensorError as error:  # what safetensors makes of an OSError
        found = re.search(r"os error (\d+)", str(error))
        if found is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from error
