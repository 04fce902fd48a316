"""The network: low-resolution space, bias-free, zero-sum head, exact base, pixel shuffle, hard consistency.

Every operation is homogeneous of degree one, so heights need no normalisation: f(a z) = a f(z) for a > 0, and the
zero-sum head makes f(z + c) = f(z) + c. The network learns only the correction to a linear base.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from orograph.pipeline.core.precision import DEFAULT_PRECISION, Precision, body_dtype, convolutions
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.sources.catalogue import Thinning

LEAK: Final = 0.1
"""Slope of the rectifier below zero; a fixed one lets convolution libraries fuse it."""

HEAD_RADIUS_PX: Final = 2
MODES: Final = (Thinning.DECIMATED, Thinning.AVERAGED)


@dataclass(frozen=True, slots=True)
class Preset:
    """Size of a network.

    Attributes:
        channels: Features of the body.
        dilations: One residual block of two 3 x 3 convolutions each, the first with this dilation.
    """

    channels: int
    dilations: tuple[int, ...]

    @property
    def radius_px(self) -> int:
        """Receptive radius in coarse pixels: head, two convolutions per block, tail."""
        return HEAD_RADIUS_PX + sum(dilation + 1 for dilation in self.dilations) + 1


PRESETS: Final[dict[str, Preset]] = {
    "XS": Preset(32, (1, 1, 1)),
    "S": Preset(48, (1, 2, 2, 1)),
    "M": Preset(64, (1, 2, 2, 1, 1, 2, 2, 1)),
    "L": Preset(96, (1, 1, 2, 2, 4, 4, 2, 2, 1, 1, 2, 2, 4, 4, 1, 1)),
}
"""XS and S train on a CPU; L needs a GPU. M begins with the dilations of S, so that it can be initialised from it."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Conditions shared by a batch.

    Attributes:
        thinning: Whether the coarse heights were decimated or averaged.
        log_aspect: Natural logarithm of pixel height over pixel width, both in metres.
        consistent: Whether the output must reproduce the input exactly; false for noisy input.
    """

    thinning: Thinning = Thinning.DECIMATED
    log_aspect: float = 0.0
    consistent: bool = True


class _Block(nn.Module):
    """x + conv(gain * leaky(conv(x))); the gain carries mode and aspect and folds into the second convolution."""

    def __init__(self, channels: int, dilation: int, depth: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.first = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.second = nn.Parameter(torch.empty(channels, channels, 3, 3))
        self.mode_gain = nn.Parameter(torch.ones(len(MODES), channels))
        self.aspect_gain = nn.Parameter(torch.zeros(2, channels))
        nn.init.kaiming_normal_(self.first, a=LEAK)
        nn.init.kaiming_normal_(self.second, a=LEAK)
        self.second.data.mul_(0.5 / depth**0.5)

    def weights(self, condition: Condition) -> tuple[Tensor, Tensor]:
        """Both kernels with the condition folded in."""
        gain = self.mode_gain[MODES.index(condition.thinning)]
        if condition.log_aspect != 0.0:
            a = condition.log_aspect
            gain = gain * torch.exp(self.aspect_gain[0] * a + self.aspect_gain[1] * abs(a))
        return self.first, self.second * gain[None, :, None, None]

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        first, second = (w.to(x.dtype) for w in self.weights(condition))
        y = F.leaky_relu(F.conv2d(x, first, padding=self.dilation, dilation=self.dilation), LEAK, inplace=True)
        return x + F.conv2d(y, second, padding=1)


class TerrainNet(nn.Module):
    """Residual network over a linear base; see the module docstring.

    Args:
        preset: Size.
        factor: Fine pixels along a coarse pixel's side.
        bases: float32, shape (2, factor**2, kernel, kernel): linear base by mode and phase.
    """

    def __init__(self, preset: Preset, factor: int, bases: Tensor) -> None:
        super().__init__()
        if bases.shape[:2] != (len(MODES), factor * factor):
            raise ConfigError(f"bases of shape {tuple(bases.shape)} for factor {factor}")
        self.preset, self.factor = preset, factor
        channels = preset.channels
        self.register_buffer("bases", bases)
        # Channel 0 sees heights (zero-sum kernels), channel 1 the noise level in metres as a plane.
        self.head = nn.Parameter(torch.randn(len(MODES), channels, 2, 5, 5) / 5.0)
        self.head.data[:, :, 1].mul_(0.2)
        self.body = nn.ModuleList(_Block(channels, d, len(preset.dilations)) for d in preset.dilations)
        self.tail = nn.Parameter(torch.randn(len(MODES), factor * factor, channels, 3, 3) * 0.03 / channels)

    def head_weights(self, condition: Condition) -> Tensor:
        """Head kernels, shape (channels, 2, 5, 5); those on heights sum to zero."""
        head = self.head[MODES.index(condition.thinning)]
        heights = head[:, 0]
        zero_sum = heights - heights.mean(dim=(1, 2), keepdim=True)
        return torch.stack((zero_sum, head[:, 1]), dim=1)

    def tail_weights(self, condition: Condition) -> Tensor:
        """Tail kernels, shape (factor**2, channels, 3, 3), with the hard consistency folded in.

        Decimated input by an odd factor: the central phase gets no correction. Averaged input: the corrections of a
        coarse pixel's phases sum to zero.
        """
        tail = self.tail[MODES.index(condition.thinning)]
        if not condition.consistent:
            return tail
        if condition.thinning is Thinning.AVERAGED:
            return tail - tail.mean(dim=0, keepdim=True)
        if self.factor % 2 == 0:
            return tail
        keep = torch.ones(tail.shape[0], 1, 1, 1, dtype=tail.dtype, device=tail.device)
        keep[tail.shape[0] // 2] = 0.0
        return tail * keep

    def blocks(self) -> list[_Block]:
        """The residual blocks, typed."""
        return [block for block in self.body if isinstance(block, _Block)]

    def base_kernels(self, condition: Condition) -> Tensor:
        """A copy of the linear base's kernels, shape (factor**2, kernel, kernel)."""
        bases: Tensor = self.get_buffer("bases")
        return bases[MODES.index(condition.thinning)].clone()

    def base(self, heights: Tensor, condition: Condition) -> Tensor:
        """The linear base by phase, shape (batch, factor**2, rows, columns), float32."""
        kernels = self.base_kernels(condition)[:, None]
        radius = kernels.shape[-1] // 2
        padded = F.pad(heights.float(), (radius,) * 4, mode="replicate")
        return F.conv2d(padded, kernels)

    def features(self, heights: Tensor, noise_m: Tensor | None, condition: Condition, precision: Precision) -> Tensor:
        """The body's output, shape (batch, channels, rows, columns); the head runs in float32.

        Heights span more than the mantissa of half precision or TF32, their differences do not.
        """
        head = self.head_weights(condition)
        padded = F.pad(heights.float(), (HEAD_RADIUS_PX,) * 4, mode="replicate")
        if noise_m is None:
            x = F.conv2d(padded, head[:, :1])
        else:
            plane = noise_m.float()[:, None, None, None].expand_as(padded)
            x = F.conv2d(torch.cat((padded, plane), dim=1), head)
        device = str(x.device)
        x = x.to(body_dtype(precision, device), memory_format=torch.channels_last)
        with convolutions(precision, device):
            for block in self.body:
                x = block(x, condition)
        return x

    def correction(self, features: Tensor, condition: Condition, precision: Precision) -> Tensor:
        """The learned correction by phase, float32, shape (batch, factor**2, rows, columns)."""
        with convolutions(precision, str(features.device)):
            return F.conv2d(features, self.tail_weights(condition).to(features.dtype), padding=1).float()

    def forward(
        self,
        heights: Tensor,
        condition: Condition,
        noise_m: Tensor | None = None,
        precision: Precision = DEFAULT_PRECISION,
    ) -> Tensor:
        """Fine heights, float32, shape (batch, 1, rows * factor, columns * factor).

        Args:
            heights: Shape (batch, 1, rows, columns), metres, without voids; near zero, for numerical precision.
            condition: Conditions shared by the batch.
            noise_m: Noise level by sample, metres, or None for none.
            precision: Of the body; float32 where the device does not convolve in it.
        """
        features = self.features(heights, noise_m, condition, precision)
        correction = self.correction(features, condition, precision)
        return F.pixel_shuffle(self.base(heights, condition) + correction, self.factor)
