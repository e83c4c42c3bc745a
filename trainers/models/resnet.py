"""Residual networks of bottleneck blocks, torchvision's parameter names.

Reference: He et al. (2016), arXiv 1512.03385; the stride sits in the 3x3 convolution ("v1.5"), as in torchvision. The
last normalisation of each block starts at zero (Goyal et al. 2017, arXiv 1706.02677, section 5.1).
"""

from collections.abc import Sequence

from torch import Tensor, nn


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions round a shortcut; ``(N, C, H, W)`` to ``(N, 4 width, H/stride, W/stride)``."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = self.expansion * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        y: Tensor = self.relu(self.bn3(self.conv3(x)) + shortcut)
        return y


class ResNet(nn.Module):
    """A stem, stages of bottleneck blocks (each after the first halves the resolution), a linear head.

    ``stem`` is ``imagenet`` (7x7 stride 2, then 3x3 max-pooling) or ``small`` (3x3, for images of a few pixels).
    """

    def __init__(
        self,
        *,
        blocks: Sequence[int],
        width: int,
        num_classes: int,
        in_channels: int = 3,
        stem: str = "imagenet",
    ) -> None:
        super().__init__()
        small = stem == "small"
        self.conv1 = (
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
            if small
            else nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        )
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, stride=2, padding=1)
        self.stages: list[str] = []
        channels = width
        for stage, count in enumerate(blocks):
            stage_width = width * 2**stage
            layers: list[nn.Module] = []
            for block in range(count):
                layers.append(Bottleneck(channels, stage_width, stride=2 if stage > 0 and block == 0 else 1))
                channels = Bottleneck.expansion * stage_width
            name = f"layer{stage + 1}"
            self.add_module(name, nn.Sequential(*layers))
            self.stages.append(name)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` images to ``(N, num_classes)`` logits."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for name in self.stages:
            x = self.get_submodule(name)(x)
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits


def resnet50(num_classes: int = 1000) -> ResNet:
    """ResNet-50, which takes torchvision's ImageNet weights (``largebatch.trainers.models.pretrained``)."""
    return ResNet(blocks=(3, 4, 6, 3), width=64, num_classes=num_classes)
