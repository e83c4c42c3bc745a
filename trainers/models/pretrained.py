"""Weights that were trained elsewhere, from a file that the user has: torchvision's ResNet-50, timm's Xception.

Names and shapes must be the model's. Only the last layers, which belong to the classes of whoever trained them, may
be missing or differ.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from largebatch.spaces.errors import UserError

_HEADS = ("fc", "head")


def load_pretrained(model: nn.Module, path: Path) -> list[str]:
    """Copy the weights of ``path`` into ``model`` and return the names that keep their values, all of the last layers.

    A file that ends in ``.safetensors`` is read as such, any other by ``torch.load(weights_only=True)``.

    Raises:
        UserError: if the file cannot be read or does not fit; the model is then as it was.
    """
    given, own = _read(path), model.state_dict()
    missing = [name for name in own if name not in given and not _may_miss(name)]
    surplus = [name for name in given if name not in own and not _is_head(name)]
    common = [name for name in own if name in given]
    differing = {name for name in common if given[name].shape != own[name].shape}
    problems = [
        _listed("it lacks", missing),
        _listed("the model lacks", surplus),
        _listed(
            "other shapes:",
            [
                f"{name} {tuple(given[name].shape)} where the model has {tuple(own[name].shape)}"
                for name in common
                if name in differing and not _is_head(name)
            ],
        ),
    ]
    if any(problems):
        raise UserError(
            f"weights: {path} does not fit the model: {'; '.join(filter(None, problems))}; give weights of the same "
            f"architecture, width and number of blocks"
        )
    model.load_state_dict({name: given[name] for name in common if name not in differing}, strict=False)
    return [name for name in own if _is_head(name) and (name not in given or name in differing)]


def _is_head(name: str) -> bool:
    return name.split(".")[0] in _HEADS


def _may_miss(name: str) -> bool:
    """Files from before torch 0.4.1 do not count batches."""
    return _is_head(name) or name.endswith(".num_batches_tracked")


def _listed(words: str, names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{words} {', '.join(names[:most])}{more}" if names else ""


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"weights: there is no file {path}")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    if not isinstance(content, dict) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        keys = f" with {', '.join(map(str, list(content)[:3]))}" if isinstance(content, dict) else ""
        raise UserError(
            f"weights: {path} must hold a state dict, tensors by name; it holds a {type(content).__name__}{keys}"
        )
    return content


def _read_torch(path: Path) -> object:
    try:
        content: object = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling may raise anything
        raise UserError(
            f"weights: {path} is no whole file of torch.save with nothing but tensors in it ({type(error).__name__})"
        ) from error
    return content


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"weights: {path} is no whole safetensors file: {error}") from error
