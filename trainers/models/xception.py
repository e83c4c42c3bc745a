"""Xception with a head of three layers, which tells spiral from elliptical galaxies.

References: Chollet (2017), arXiv 1610.02357, for the body; Khan et al. (2019), Phys. Lett. B 795, 248, arXiv
1812.02183, for the head. Parameter names, padding and the normalisation's epsilon are those of timm's
``legacy_xception``, so that its ImageNet weights load (``largebatch.trainers.models.pretrained``).
"""

from torch import Tensor, nn

from largebatch.spaces.errors import UserError


class Xception(nn.Module):
    """A stem, three blocks that halve the resolution, middle blocks, one more that halves it, the head.

    Args:
        num_classes: Length of the output.
        width: Channels of the first convolution, a multiple of 4; all others are in Xception's proportion to it.
        num_middle_blocks: Blocks of constant resolution.
        head_width: Hidden units of the head's two layers.
    """

    def __init__(
        self, *, num_classes: int = 2, width: int = 32, num_middle_blocks: int = 8, head_width: int = 1024
    ) -> None:
        super().__init__()
        if width % 4:
            raise UserError(f"width: must be a multiple of 4, as Xception's 728 channels are 91/4 of 32; got {width}")
        middle = 91 * width // 4  # 728 of 32
        self.conv1 = nn.Conv2d(3, width, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(2 * width)
        self.relu = nn.ReLU(inplace=True)
        blocks = [
            Block(2 * width, (4 * width, 4 * width), starts_with_relu=False),
            Block(4 * width, (8 * width, 8 * width)),
            Block(8 * width, (middle, middle)),
            *(Block(middle, (middle, middle, middle), stride=1) for _ in range(num_middle_blocks)),
            Block(middle, (middle, 32 * width)),
        ]
        self.blocks = [f"block{index + 1}" for index in range(len(blocks))]
        for name, block in zip(self.blocks, blocks, strict=True):
            self.add_module(name, block)
        self.conv3 = SeparableConv2d(32 * width, 48 * width)
        self.bn3 = nn.BatchNorm2d(48 * width)
        self.conv4 = SeparableConv2d(48 * width, 64 * width)
        self.bn4 = nn.BatchNorm2d(64 * width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Sequential(
            nn.Linear(64 * width, head_width),
            nn.ReLU(),
            nn.Dropout(0.7),
            nn.Linear(head_width, head_width),
            nn.ReLU(),
            nn.Linear(head_width, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` images to ``(N, 64 width, H', W')``, H' and W' about a 32nd of H and W."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        for name in self.blocks:
            x = self.get_submodule(name)(x)
        x = self.relu(self.bn3(self.conv3(x)))
        y: Tensor = self.relu(self.bn4(self.conv4(x)))
        return y

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` images, 32 pixels or more a side, to ``(N, num_classes)`` logits."""
        logits: Tensor = self.head(self.avgpool(self.features(x)).flatten(1))
        return logits


class SeparableConv2d(nn.Module):
    """A 3x3 convolution of every channel by itself, then a 1x1 convolution of them all."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        y: Tensor = self.pointwise(self.conv1(x))
        return y


class Block(nn.Module):
    """Separable convolutions of so many channels round a shortcut: ReLU, convolution, normalisation each."""

    def __init__(
        self, in_channels: int, channels: tuple[int, ...], *, stride: int = 2, starts_with_relu: bool = True
    ) -> None:
        super().__init__()
        self.skip: nn.Module | None = None
        if stride != 1 or in_channels != channels[-1]:
            self.skip = nn.Conv2d(in_channels, channels[-1], 1, stride=stride, bias=False)
            self.skipbn = nn.BatchNorm2d(channels[-1])
        layers: list[nn.Module] = []
        for before, after in zip((in_channels, *channels), channels, strict=False):
            # the first must not overwrite what the shortcut reads
            layers += [nn.ReLU(inplace=bool(layers)), SeparableConv2d(before, after), nn.BatchNorm2d(after)]
        if not starts_with_relu:
            del layers[0]
        if stride != 1:
            layers.append(nn.MaxPool2d(3, stride=stride, padding=1))
        self.rep = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block; it divides the resolution by the stride."""
        y: Tensor = self.rep(x)
        return y + (x if self.skip is None else self.skipbn(self.skip(x)))
