"""ResNet-50 and Xception compute what timm's do with the same weights. timm's code runs here, not a copy.

timm imports torchvision for data transforms, which these models do not touch, and no torchvision fits every torch;
where there is none, an empty stand-in takes its place until timm is loaded.
"""

import importlib.abc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from largebatch.trainers.models.resnet import resnet50
from largebatch.trainers.models.xception import Xception

from .random_weights import randomised

Forward = Callable[[Tensor], Tensor]

if importlib.util.find_spec("timm") is None:
    pytest.skip(
        "NOT COMPARED with timm's models: timm is not installed; pip install --no-deps timm", allow_module_level=True
    )


class AnyAttribute(type):
    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class StandIn(ModuleType):
    __path__: list[str] = []  # noqa: RUF012

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return AnyAttribute(name, (), {})


class Torchvision(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.split(".")[0] == "torchvision" else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@pytest.fixture(scope="module")
def timm_models() -> Iterator[dict[str, Callable[[], nn.Module]]]:
    finder = None if importlib.util.find_spec("torchvision") else Torchvision()
    if finder:
        sys.meta_path.insert(0, finder)
    try:
        from timm.models.resnet import resnet50
        from timm.models.xception import legacy_xception

        yield {"resnet50": resnet50, "xception": legacy_xception}
    finally:
        if finder:
            sys.meta_path.remove(finder)
            for name in [name for name in sys.modules if name.split(".")[0] in ("timm", "torchvision")]:
                del sys.modules[name]


def test_resnet50(timm_models: dict[str, Callable[[], nn.Module]]) -> None:
    theirs = randomised(timm_models["resnet50"]())
    ours = resnet50().double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 65, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    compare(ours, theirs, ours, theirs, images)


def test_xception(timm_models: dict[str, Callable[[], nn.Module]]) -> None:
    theirs = randomised(timm_models["xception"]())
    ours = Xception().double()
    body = [name for name in theirs.state_dict() if not name.startswith("fc.")]
    assert [name for name in ours.state_dict() if not name.startswith("head.")] == body
    ours.load_state_dict(theirs.state_dict(), strict=False)
    images = torch.randn(2, 3, 71, 64, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    compare(ours, theirs, ours.features, theirs.forward_features, images)  # type: ignore[arg-type]


def compare(ours: nn.Module, theirs: nn.Module, our: Forward, their: Forward, images: Tensor) -> None:
    """Outputs in evaluation; outputs, gradients and running statistics in training."""
    for training in (False, True):
        outputs = []
        for model, forward in ((ours, our), (theirs, their)):
            model.train(training)
            with torch.set_grad_enabled(training):
                outputs.append(forward(images))
                if training:
                    outputs[-1].square().mean().backward()
        assert_close(*outputs)
    buffers = dict(ours.named_buffers())
    for name, buffer in theirs.named_buffers():
        assert_close(buffers[name], buffer)
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    for name, parameter in theirs.named_parameters():
        if parameter.grad is not None:
            assert_close(gradients[name], parameter.grad)


def assert_close(ours: Tensor | None, theirs: Tensor) -> None:
    assert ours is not None
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1e-10 * theirs.abs().max()
