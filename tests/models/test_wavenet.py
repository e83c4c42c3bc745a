"""The WaveNet: its size in the paper, a slow reference, what may vary, and blocks that are computed again."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.data import TensorDataset

from largebatch.spaces.errors import UserError
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.target import Target
from largebatch.trainers.models.wavenet import WaveNet
from largebatch.trainers.task import Task
from largebatch.trainers.training import Training

from .random_weights import randomised

Array = NDArray[np.float64]


def small(dilations: tuple[int, ...] = (1, 2, 3, 64, 1), **options: Any) -> WaveNet:
    return WaveNet(width=4, dilations=dilations, last_samples=9, head_width=6, **options)


def num_parameters(*modules: nn.Module) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_the_size_of_the_paper() -> None:
    """Khan, Huerta, Das (2020): 10,295,576 trainable parameters, 51,987 of them before the heads."""
    model = WaveNet()
    assert num_parameters(model) == 10_295_576
    assert num_parameters(model.blocks, model.tail) == 51_987
    assert len(model.blocks) == 16
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    assert len(norms) == 16 * 3 + 2
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def convolution(x_NCL: Array, weight_OCK: Array, bias_O: Array, dilation: int = 1) -> Array:
    """Keras's ``padding="same"``: half of the zeros, rounded down, come before."""
    num_taps = weight_OCK.shape[2]
    num_zeros = dilation * (num_taps - 1)
    length = x_NCL.shape[2]
    y_NOL = np.zeros((x_NCL.shape[0], weight_OCK.shape[0], length))
    for n in range(x_NCL.shape[0]):
        for t in range(length):
            y_NOL[n, :, t] = bias_O
            for tap in range(num_taps):
                source = t + tap * dilation - num_zeros // 2
                if 0 <= source < length:
                    y_NOL[n, :, t] += weight_OCK[:, :, tap] @ x_NCL[n, :, source]
    return y_NOL


class Reference:
    """The paper's steps one after the other, from the model's weights by name."""

    def __init__(self, model: WaveNet, *, training: bool) -> None:
        self.weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
        self.training = training

    def conv(self, name: str, x_NCL: Array, dilation: int = 1) -> Array:
        return convolution(x_NCL, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], dilation)

    def norm(self, name: str, x_NCL: Array) -> Array:
        mean_C, var_C = self.weights[f"{name}.running_mean"], self.weights[f"{name}.running_var"]
        if self.training:
            mean_C, var_C = x_NCL.mean((0, 2)), x_NCL.var((0, 2))
        scale_C = self.weights[f"{name}.weight"] / np.sqrt(var_C + 1e-3)
        return (x_NCL - mean_C[:, None]) * scale_C[:, None] + self.weights[f"{name}.bias"][:, None]

    def linear(self, name: str, x_NI: Array) -> Array:
        return x_NI @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def block(self, name: str, x_NCL: Array, dilation: int) -> tuple[Array, Array]:
        x = relu(self.norm(f"{name}.enter.1", self.conv(f"{name}.enter.0", x_NCL)))
        both = self.norm(f"{name}.gates_norm", self.conv(f"{name}.gates", x, dilation))
        filters, gates = both[:, : both.shape[1] // 2], both[:, both.shape[1] // 2 :]
        gated = np.tanh(filters) / (1 + np.exp(-gates))
        z = relu(self.norm(f"{name}.leave.1", self.conv(f"{name}.leave.0", gated)))
        return x + z, z

    def head(self, name: str, x_NI: Array) -> Array:
        return self.linear(f"{name}.2", relu(self.linear(f"{name}.0", x_NI)))

    def network(self, x_NCL: Array, dilations: tuple[int, ...], last_samples: int) -> Array:
        skips = []
        for index, dilation in enumerate(dilations):
            x_NCL, skip = self.block(f"blocks.{index}", x_NCL, dilation)
            skips.append(skip)
        hidden = relu(self.norm("tail.2", self.conv("tail.1", relu(np.sum(skips, 0)))))
        last = self.norm("tail.6", self.conv("tail.5", hidden))[:, 0, -last_samples:]
        return np.concatenate([self.head("mass_head", last), self.head("spin_head", last)], 1)


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dilation", [1, 2, 3, 64])
def test_a_block(dilation: int, training: bool) -> None:
    model = randomised(small((1, dilation))).train(training)
    x = torch.randn(2, 4, 31, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = Reference(model, training=training).block("blocks.1", x.numpy(), dilation)
    with torch.no_grad():
        for ours, theirs in zip(model.blocks[1](x), expected, strict=True):
            assert np.abs(ours.numpy() - theirs).max() < 1e-10


@pytest.mark.parametrize("training", [False, True])
def test_the_network(training: bool) -> None:
    model = randomised(small()).train(training)
    model.tail[4].eval()  # the dropout
    x = torch.randn(3, 1, 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = Reference(model, training=training).network(x.numpy(), (1, 2, 3, 64, 1), last_samples=9)
    with torch.no_grad():
        y = model(x).numpy()
    assert y.shape == (3, 5)
    assert y.std(0).min() > 1e-3
    assert np.abs(y - expected).max() < 1e-10


@pytest.mark.parametrize("length", [9, 10, 257])
def test_any_length_and_width(length: int) -> None:
    model = WaveNet(width=6, dilations=(1, 2, 4, 8), last_samples=9, head_width=3, norm_momentum=0.1).eval()
    assert model(torch.zeros(2, 1, length)).shape == (2, 5)
    assert {norm.momentum for norm in model.modules() if isinstance(norm, nn.BatchNorm1d)} == {0.1}


def test_waveforms_shorter_than_the_last_samples() -> None:
    with pytest.raises(UserError, match="the heads need the last 9 samples, and the waveforms have 8"):
        small()(torch.zeros(2, 1, 8))


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return mse_loss(outputs[:, 0], targets[:, 0]) + mse_loss(outputs[:, 1:], targets[:, 1:])


def trained(recompute: bool) -> tuple[list[float], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(4)
    inputs, targets = torch.randn(64, 1, 50, generator=generator), torch.randn(64, 5, generator=generator)
    data = TensorDataset(inputs, targets)
    task = Task(
        model=lambda: small(recompute=recompute), train_data=data, validation_data=data, loss=loss,
        target=Target(metric="val_loss", below=0.01), max_examples=1_000, evaluation_examples=64,
    )  # fmt: skip
    recipe = Recipe(global_batch_size=32, learning_rate=0.02, norm_batch_size=8)
    training = Training(task, recipe, max_examples=1_000, device=torch.device("cpu"))
    losses = [training.train_step().item() for _ in range(20)]
    return losses, training.model.state_dict()


def test_training_with_blocks_computed_again_is_the_same() -> None:
    losses, state = trained(recompute=False)
    assert losses[-1] < losses[0]
    again_losses, again_state = trained(recompute=True)
    assert again_losses == losses
    assert all(torch.equal(again_state[name], tensor) for name, tensor in state.items())


def kept_bytes(recompute: bool) -> int:
    """Of what the forward pass keeps for the backward pass."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model = WaveNet(last_samples=100, head_width=4, recompute=recompute)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(torch.zeros(2, 1, 1_000)).sum()
    return sum(storages.values())


def test_blocks_computed_again_save_memory() -> None:
    assert kept_bytes(recompute=True) < kept_bytes(recompute=False) / 3
