"""ResNet-18 to -101 with dilated blocks: features at an eighth of the image's resolution.

Layer names are those of torchvision, so a state dict of its ImageNet weights loads as it is. He et al., 2016; dilation
after block 2 as in Yu and Koltun, 2016.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from orograph.pipeline.errors import ConfigError, ForeignModel, SourceMissing

_DEPTHS: Final[dict[int, tuple[tuple[int, int, int, int], bool]]] = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
}
DILATION: Final = 2


class _Basic(nn.Module):
    expansion = 1

    def __init__(self, inside: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, dilation, dilation, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inside, width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class _Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inside: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(inside, 4 * width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def _shortcut(inside: int, outside: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inside == outside:
        return None
    return nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))


class DilatedResNet(nn.Module):
    """The four residual blocks; the last two keep the resolution and are dilated instead.

    Args:
        depth: 18, 34, 50 or 101.
        bands: Input bands.
        width: Channels of the first block; 64 is the published size, fewer for small budgets.
    """

    def __init__(self, depth: int, bands: int = 3, width: int = 64) -> None:
        super().__init__()
        if depth not in _DEPTHS:
            raise ConfigError(f"no ResNet-{depth}", remedy=f"use {', '.join(map(str, _DEPTHS))}")
        if bands < 1 or width < 4:
            raise ConfigError(f"a ResNet of {bands} bands and width {width}")
        counts, deep = _DEPTHS[depth]
        block: Any = _Bottleneck if deep else _Basic
        self.conv1 = nn.Conv2d(bands, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inside = width
        for number, count in enumerate(counts, start=1):
            channels = width * 2 ** (number - 1)
            stride, dilation = (2 if number == 2 else 1), (DILATION if number > 2 else 1)
            layers = []
            for k in range(count):
                layers.append(block(inside, channels, stride if k == 0 else 1, dilation))
                inside = channels * block.expansion
            setattr(self, f"layer{number}", nn.Sequential(*layers))
        self.channels = inside
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (batch, channels, rows / 8, columns / 8)."""
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return x


def load_imagenet(network: DilatedResNet, path: Path) -> None:
    """Load a state dict in torchvision's layout (safetensors, or a .pth of tensors only); its classifier is ignored.

    With other than three input bands the first convolution starts from the mean over the file's bands.

    Raises:
        SourceMissing: the file does not exist.
        ForeignModel: it is not such a state dict, or has another depth or width.
    """
    if not path.is_file():
        raise SourceMissing(f"no weights file {path}", remedy="omit it to train from scratch")
    state = _read_state(path)
    state = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    first, bands = state.get("conv1.weight"), network.conv1.in_channels
    if first is not None and first.ndim == 4 and first.shape[1] != bands:
        state["conv1.weight"] = first.mean(dim=1, keepdim=True).repeat(1, bands, 1, 1) * (first.shape[1] / bands)
    try:
        missing = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ForeignModel(f"{path.name} does not fit the network: {error}") from error
    absent = [name for name in missing.missing_keys if not name.endswith("num_batches_tracked")]
    if absent or missing.unexpected_keys:
        raise ForeignModel(
            f"{path.name} is for another network: missing {absent[:3]}, unexpected {missing.unexpected_keys[:3]}",
            remedy="choose the depth the weights are for",
        )


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise a dozen exception types for this fault
        raise ForeignModel(f"{path.name} contains no weights: {error}") from error
    if not isinstance(state, dict):
        raise ForeignModel(f"{path.name} contains a {type(state).__name__}, not a state dict")
    return state
