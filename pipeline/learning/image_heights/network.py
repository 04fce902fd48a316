"""The paper's network: a dilated ResNet, atrous spatial pyramid pooling, two convolutions to dense outputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from orograph.pipeline.learning.image_heights.backbone import DilatedResNet

ASPP_DILATIONS: Final = (1, 6, 12, 18)


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Size of the network.

    Attributes:
        depth: Depth of the ResNet: 18, 34, 50 or 101.
        bands: Bands of the image.
        width: Channels of the ResNet's first block, 64 as published.
        aspp: Whether to pool features of several dilations; False is the paper's ablation.
        pooled: Channels of each ASPP branch and of the compressed features.
    """

    depth: int = 101
    bands: int = 3
    width: int = 64
    aspp: bool = True
    pooled: int = 256

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """Read the output of `to_dict`."""
        return cls(**document)


class HeightNet(nn.Module):
    """Image to outputs of the image's size.

    Args:
        spec: Size of the network.
        channels: Number of outputs, set by the head.
    """

    def __init__(self, spec: NetworkSpec, channels: int) -> None:
        super().__init__()
        self.backbone = DilatedResNet(spec.depth, spec.bands, spec.width)
        features = self.backbone.channels
        if spec.aspp:
            self.aspp = nn.ModuleList(
                nn.Conv2d(features, spec.pooled, 3, padding=rate, dilation=rate) for rate in ASPP_DILATIONS
            )
            features = spec.pooled * len(ASPP_DILATIONS)
        else:
            self.aspp = nn.ModuleList()
        self.compress = nn.Conv2d(features, spec.pooled, 1)
        self.dense = nn.Conv2d(spec.pooled, channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Outputs (batch, channels, rows, columns) of an image (batch, bands, rows, columns)."""
        x = self.backbone(image)
        if len(self.aspp):
            x = torch.cat([torch.relu(layer(x)) for layer in self.aspp], dim=1)
        x = self.dense(torch.relu(self.compress(x)))
        return F.interpolate(x, size=image.shape[-2:], mode="bilinear", align_corners=False)

    def parameter_groups(self, learning_rate: float, backbone_factor: float = 0.1) -> list[dict[str, Any]]:
        """Two learning rates: that of the pretrained backbone is a tenth of the rest's."""
        backbone = {id(p) for p in self.backbone.parameters()}
        rest = [p for p in self.parameters() if id(p) not in backbone]
        return [
            {"params": list(self.backbone.parameters()), "lr": learning_rate * backbone_factor},
            {"params": rest, "lr": learning_rate},
        ]
