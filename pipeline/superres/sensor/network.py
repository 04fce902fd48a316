"""Network that corrects the filter of a sensor: eight-fold symmetric, bounded, and zero until trained.

Convolutions are not padded, so the output is smaller than the input by `radius_px` on each side. The output is in units
of the filter's error: what a sensor cannot see in one pixel size looks alike in another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, body_dtype, convolutions
from orograph.pipeline.superres.network import LEAK
from orograph.pipeline.superres.sensor.net_inputs import PHASES, PLANES

BOUND: Final = 1.5
"""Largest correction, in units of the filter's error."""
_HEAD_PX: Final = 5


@dataclass(frozen=True, slots=True)
class SensorNetShape:
    """Size of the network.

    Attributes:
        channels: Features, a multiple of eight.
        dilations: One residual block of two 3 x 3 convolutions each, the first with this dilation.
    """

    channels: int = 32
    dilations: tuple[int, ...] = (1, 2, 2)

    @property
    def radius_px(self) -> int:
        """Receptive radius in coarse pixels."""
        return _HEAD_PX // 2 + sum(dilation + 1 for dilation in self.dilations) + 1


class SensorNet(nn.Module):
    """Correction of a sensor's filtered heights.

    Args:
        shape: Size.
    """

    def __init__(self, shape: SensorNetShape) -> None:
        super().__init__()
        self.shape = shape
        channels = shape.channels

        def drawn(outputs: int, inputs: int, side: int, gain: float) -> nn.Parameter:
            return nn.Parameter(torch.randn(outputs, inputs, side, side) * gain / (inputs * side * side) ** 0.5)

        depth = len(shape.dilations)
        self.head = drawn(channels, PLANES, _HEAD_PX, 0.6)
        self.head_bias = nn.Parameter(torch.zeros(channels))
        self.first = nn.ParameterList(drawn(channels, channels, 3, 2**0.5) for _ in range(depth))
        self.first_bias = nn.ParameterList(torch.zeros(channels) for _ in range(depth))
        self.second = nn.ParameterList(drawn(channels, channels, 3, (0.5 / depth) ** 0.5) for _ in range(depth))
        self.tail = nn.Parameter(torch.zeros(PHASES, channels, 3, 3))
        # Shares of the two changes of the filter.
        self.gate = nn.Parameter(torch.zeros(2, channels, 3, 3))
        self.gate_bias = nn.Parameter(torch.zeros(2))

    def forward(self, planes: Tensor, precision: Precision = DEFAULT_PRECISION) -> Tensor:
        """Correction by phase in units of the filter's error, float32, shape (batch, 9, rows - 2r, columns - 2r).

        Args:
            planes: `NetInputs.planes`, shape (batch, PLANES, rows, columns).
            precision: Of the convolutions; float32 where the device does not compute in it.
        """
        device = str(planes.device)
        kind = body_dtype(precision, device)
        x = planes.to(kind, memory_format=torch.channels_last)
        with convolutions(precision, device):
            x = F.leaky_relu(F.conv2d(x, self.head.to(kind), self.head_bias.to(kind)), LEAK)
            for dilation, first, bias, second in zip(
                self.shape.dilations, self.first, self.first_bias, self.second, strict=True
            ):
                rim = dilation + 1
                y = F.leaky_relu(F.conv2d(x, first.to(kind), bias.to(kind), dilation=dilation), LEAK)
                x = x[:, :, rim:-rim, rim:-rim] + F.conv2d(y, second.to(kind))
            x = F.leaky_relu(x, LEAK)
            free = F.conv2d(x, self.tail.to(kind)).float()
            shares = F.conv2d(x, self.gate.to(kind), self.gate_bias.to(kind)).float()
        r = self.shape.radius_px
        inner = planes[:, :, r:-r, r:-r]
        rougher, calmer = inner[:, PHASES : 2 * PHASES], inner[:, 2 * PHASES : 3 * PHASES]
        return BOUND * torch.tanh((free + shares[:, :1] * rougher + shares[:, 1:] * calmer) / BOUND)
