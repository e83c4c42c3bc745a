"""Weights from a user's file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from largebatch.spaces.errors import UserError
from largebatch.trainers.models.pretrained import load_pretrained
from largebatch.trainers.models.resnet import ResNet
from largebatch.trainers.models.xception import Xception

from .random_weights import randomised


def resnet(num_classes: int = 5, width: int = 4) -> ResNet:
    return ResNet(blocks=(1, 1), width=width, num_classes=num_classes)


def xception() -> Xception:
    return Xception(width=4, num_middle_blocks=1, head_width=8)


def written(folder: Path, state: object, suffix: str = ".pth") -> Path:
    path = folder / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file = pytest.importorskip("safetensors.torch", reason="pip install safetensors").save_file
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def body(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if name.split(".")[0] not in ("fc", "head")}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_all_of_the_same_model(suffix: str, tmp_path: Path) -> None:
    source, model = randomised(resnet()), resnet().double()
    assert load_pretrained(model, written(tmp_path, source.state_dict(), suffix)) == []
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in source.state_dict().items())


def test_other_classes_keep_their_own_last_layer(tmp_path: Path) -> None:
    source, model = randomised(resnet(num_classes=5)), resnet(num_classes=3)
    last_layer = model.fc.weight.clone()
    path = written(tmp_path, source.state_dict())
    assert load_pretrained(model, path) == ["fc.weight", "fc.bias"]
    assert torch.equal(model.fc.weight, last_layer)
    assert all(torch.equal(body(model)[name], tensor.float()) for name, tensor in body(source).items() if tensor.ndim)


def test_a_body_with_another_head_and_no_counts_of_batches(tmp_path: Path) -> None:
    """As timm's files of Xception are: ``fc`` where this model has ``head``."""
    source, model = randomised(xception()).float(), xception()
    state = {name: tensor for name, tensor in body(source).items() if not name.endswith("num_batches_tracked")}
    path = written(tmp_path, {**state, "fc.weight": torch.zeros(1000, 256), "fc.bias": torch.zeros(1000)})
    kept = load_pretrained(model, path)
    assert kept == [name for name in model.state_dict() if name.startswith("head.")]
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in state.items())


def test_what_does_not_fit_is_named_and_nothing_is_loaded(tmp_path: Path) -> None:
    state = resnet().state_dict()
    state["layer1.0.conv1.weight"] = torch.zeros(4, 4, 3, 3)
    del state["bn1.weight"]
    state["layer3.0.conv1.weight"] = torch.zeros(1)
    model = resnet()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError) as mistake:
        load_pretrained(model, written(tmp_path, state))
    for words in (
        "weights.pth does not fit the model",
        "it lacks bn1.weight;",
        "the model lacks layer3.0.conv1.weight;",
        "layer1.0.conv1.weight (4, 4, 3, 3) where the model has (4, 4, 1, 1)",
    ):
        assert words in str(mistake.value)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


def test_another_width(tmp_path: Path) -> None:
    path = written(tmp_path, resnet(width=8).state_dict())
    with pytest.raises(UserError, match=r"other shapes: conv1.weight \(8, 3, 7, 7\) .* and \d+ more; give weights of"):
        load_pretrained(resnet(), path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}, "epoch": 3}, "must hold a state dict.*it holds a dict with state_dict, epoch"),
        ([torch.zeros(1)], "it holds a list"),
        (resnet(), "no whole file of torch.save with nothing but tensors"),
    ],
)
def test_files_with_something_else(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_pretrained(resnet(), written(tmp_path, content))


@pytest.mark.parametrize(
    ("name", "message"),
    [("w.pth", "no whole file of torch.save"), ("w.safetensors", "no whole safetensors file: .*header")],
)
def test_broken_files(name: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(UserError, match="there is no file"):
        load_pretrained(resnet(), path)
    path.write_bytes(b"not weights")
    with pytest.raises(UserError, match=message):
        load_pretrained(resnet(), path)
