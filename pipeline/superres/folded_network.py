"""Inference kernels: condition folded into weights, differences instead of heights, fused ReLUs.

A zero-sum kernel is rewritten as kernels on horizontal and vertical differences. Differences of neighbouring heights
are small and exact where heights are equal, so no reference height is subtracted that would depend on the window.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from orograph.pipeline.core.precision import Precision, body_dtype, convolutions, has_fused_convolutions
from orograph.pipeline.superres.network import LEAK, Condition, TerrainNet


def difference_kernels(kernels: Tensor) -> Tensor:
    """Zero-sum kernels on heights as kernels on differences.

    Args:
        kernels: Shape (outputs, k, k), each summing to zero.

    Returns:
        Shape (outputs, 2, k, k): on z[r, c + 1] - z[r, c] and on z[r + 1, c] - z[r, c].
    """
    exact = kernels.double()
    along = -torch.cumsum(exact, dim=2)
    along[:, :, -1] = 0.0
    down = torch.zeros_like(exact)
    down[:, :, -1] = -torch.cumsum(exact.sum(dim=2), dim=1)
    down[:, -1, -1] = 0.0
    return torch.stack((along, down), dim=1).to(kernels.dtype)


def differences(heights: Tensor) -> Tensor:
    """Forward differences along rows and down columns, shape (batch, 2, rows, columns), zero at the far border."""
    out = torch.zeros((heights.shape[0], 2, *heights.shape[2:]), dtype=heights.dtype, device=heights.device)
    out[:, 0, :, :-1] = heights[:, 0, :, 1:] - heights[:, 0, :, :-1]
    out[:, 1, :-1] = heights[:, 0, 1:] - heights[:, 0, :-1]
    return out


class FoldedNet:
    """A network for one condition, ready to run on blocks of one shape.

    Args:
        net: Trained network.
        condition: Folded into the weights.
        error: Error-head kernels, shape (factor**2, channels, 3, 3), non-negative, or None.
        precision: Of the body; float32 where the device does not convolve in it. The head and the base run in float32.
        device: Torch device.
        noise_m: Noise level, metres.
    """

    def __init__(
        self,
        net: TerrainNet,
        condition: Condition,
        error: Tensor | None,
        precision: Precision,
        device: str,
        noise_m: float = 0.0,
    ) -> None:
        dtype = body_dtype(precision, device)
        self.factor, self.dtype, self.noise_m = net.factor, dtype, noise_m
        self.precision, self.device = precision, device
        with torch.no_grad():
            head = net.head_weights(condition)
            # Channels last here too: two input channels the other way cost a fifth of the whole network's time.
            self.head = _packed(difference_kernels(head[:, 0]), torch.float32, device)
            self.head_noise = head[:, 1:].sum(dim=(2, 3)).reshape(1, -1, 1, 1).to(device) * noise_m
            base = net.base_kernels(condition)
            centre = base.shape[-1] // 2
            base[:, centre, centre] -= 1.0
            self.base = difference_kernels(base).to(device)
            blocks = [(block, *block.weights(condition)) for block in net.blocks()]
            self.body = [
                (_packed(first, dtype, device), _packed(second, dtype, device), block.dilation)
                for block, first, second in blocks
            ]
            tail = net.tail_weights(condition)
            self.tail = _packed(tail, dtype, device)
            self.error = None if error is None else _packed(error, dtype, device)
        self.fused = has_fused_convolutions(device)
        self.layout = torch.channels_last

    def __call__(self, heights: Tensor) -> tuple[Tensor, Tensor | None]:
        """Map heights (batch, 1, rows, columns) to base plus correction by phase, and the error scale by phase.

        Layers are not padded, so every computed value is used: both results are smaller by the receptive radius on
        each side. The first is relative to the coarse height, float32.
        """
        slopes = differences(heights)
        x = F.conv2d(slopes, self.head)
        if self.noise_m > 0.0:
            x = x + self.head_noise
        x = x.to(self.dtype, memory_format=self.layout)
        with convolutions(self.precision, self.device):
            for first, second, dilation in self.body:
                x = self._block(x, first, second, dilation)
            correction = F.conv2d(x, self.tail).float()
            error = None if self.error is None else F.conv2d(x.abs(), self.error).float()
        reach = self.base.shape[-1] // 2
        rim = (slopes.shape[-1] - correction.shape[-1]) // 2 - reach
        inner = (slice(None), slice(None), slice(rim, -rim or None), slice(rim, -rim or None))
        correction += F.conv2d(slopes[inner], self.base)
        return correction, error

    def _block(self, x: Tensor, first: Tensor, second: Tensor, dilation: int) -> Tensor:
        rim = dilation + 1
        kept = x[:, :, rim:-rim, rim:-rim]
        if not self.fused:
            y = F.leaky_relu(F.conv2d(x, first, dilation=dilation), LEAK, inplace=True)
            return F.conv2d(y, second).add_(kept)
        ops: Any = torch.ops.mkldnn
        none, one, wide = [0, 0], [1, 1], [dilation, dilation]
        y = ops._convolution_pointwise(  # noqa: SLF001 - torch's only fused convolution on processors
            x, first, None, none, one, wide, 1, "leaky_relu", [LEAK], ""
        )
        return ops._convolution_pointwise(y, second, None, none, one, one, 1, "none", [], "").add_(kept)  # noqa: SLF001


def _packed(weights: Tensor, dtype: torch.dtype, device: str) -> Tensor:
    return weights.to(device=device, dtype=dtype, memory_format=torch.channels_last)
