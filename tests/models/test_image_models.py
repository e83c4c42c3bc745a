"""ResNet and Xception: their sizes, what may vary, and a training of the small Xception."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.models.resnet import ResNet, resnet50
from largebatch.trainers.models.xception import Xception
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def num_weights(module: nn.Module) -> int:
    """As Keras counts: with the running statistics."""
    state = module.state_dict()
    return sum(tensor.numel() for name, tensor in state.items() if not name.endswith("num_batches_tracked"))


def small_xception(width: int = 4) -> Xception:
    return Xception(width=width, num_middle_blocks=2, head_width=16)


def test_resnet_50_has_torchvisions_parameters() -> None:
    """25,557,032 parameters, as torchvision documents for ``resnet50``; and its names."""
    model = resnet50()
    assert num_parameters(model) == 25_557_032
    assert len(model.state_dict()) == 320
    names = set(model.state_dict())
    assert {"conv1.weight", "layer1.0.downsample.1.running_var", "layer4.2.bn3.weight", "fc.bias"} <= names
    assert "layer1.1.downsample.0.weight" not in names
    assert {name.split(".")[0] for name in names} == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"}
    assert num_parameters(resnet50(num_classes=10)) == 25_557_032 - 990 * 2049


@pytest.mark.parametrize(("width", "blocks", "side"), [(8, (1, 1), 8), (4, (2, 1, 1), 33), (16, (1, 1, 1, 1), 64)])
def test_resnets_of_other_sizes(width: int, blocks: tuple[int, ...], side: int) -> None:
    for stem in ("small", "imagenet"):
        model = ResNet(blocks=blocks, width=width, num_classes=7, stem=stem).eval()
        assert model(torch.zeros(2, 3, side, side)).shape == (2, 7)


def test_xception_has_the_parameters_of_the_papers() -> None:
    """Counting running statistics: 20,861,480 as Keras documents for Xception without top, and the head of Khan et al.
    (2019): 24,011,306 in all.
    """
    model = Xception()
    assert num_weights(model) == 24_011_306
    assert num_weights(model.head) == 3_149_826
    assert num_weights(model) - num_weights(model.head) == 20_861_480
    names = set(model.state_dict())
    assert {"conv1.weight", "block1.rep.0.conv1.weight", "block2.rep.1.pointwise.weight", "bn4.running_var"} <= names
    assert {"block12.skip.weight", "block12.skipbn.bias", "conv4.pointwise.weight"} <= names


@pytest.mark.parametrize(("width", "side"), [(4, 32), (8, 33), (12, 64)])
def test_xceptions_of_other_sizes(width: int, side: int) -> None:
    model = small_xception(width).eval()
    assert model.features(torch.zeros(2, 3, side, side)).shape[:2] == (2, 64 * width)
    assert model(torch.zeros(2, 3, side, side)).shape == (2, 2)


def test_xceptions_of_no_size() -> None:
    with pytest.raises(UserError, match=r"width: must be a multiple of 4.* got 6"):
        small_xception(6)


def test_small_xception_trains() -> None:
    generator = torch.Generator().manual_seed(0)
    targets = torch.randint(0, 2, (64,), generator=generator)
    inputs = torch.randn(64, 3, 32, 32, generator=generator) + targets[:, None, None, None]
    data = TensorDataset(inputs, targets)
    task = Task(
        model=small_xception, train_data=data, validation_data=data, loss=cross_entropy,
        target=Target(metric="val_loss", below=0.01), max_examples=1_000, evaluation_examples=64,
    )  # fmt: skip
    recipe = Recipe(global_batch_size=16, learning_rate=0.02, norm_batch_size=8)
    training = Training(task, recipe, max_examples=1_000, device=torch.device("cpu"))
    before = {name: tensor.clone() for name, tensor in training.model.state_dict().items()}
    losses = [training.train_step().item() for _ in range(16)]
    assert sum(losses[-4:]) < sum(losses[:4])
    changed = {name for name, tensor in training.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == set(before)
