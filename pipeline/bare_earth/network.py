"""Network that predicts heights of objects above the terrain from a DSM.

Its inputs are only differences of heights (top hats of a progressive opening, gradients, relief), so adding a constant
to the DSM has no effect, and every output depends on a bounded neighbourhood.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F  # noqa: N812

from orograph.pipeline.errors import ConfigError

STRIDE: Final = 8


@dataclass(frozen=True, slots=True)
class SurfaceSpec:
    """Inputs and size of the network.

    Attributes:
        windows_px: Widths of the openings, pixels, odd.
        pixel_size_m: Pixel sizes it may be used at, smallest and largest, metres.
        width: Channels at full resolution.
        scale_m: Height that is scaled to 1, metres; larger differences are compressed logarithmically.
        cover: Whether it also takes shares of trees and buildings from a land-cover map; it works without one too.
    """

    windows_px: tuple[int, ...] = (3, 7, 15, 31, 61)
    pixel_size_m: tuple[float, float] = (1.8, 3.0)
    width: int = 16
    scale_m: float = 3.0
    cover: bool = False

    def __post_init__(self) -> None:
        if not self.windows_px or any(w < 3 or w % 2 == 0 for w in self.windows_px):
            raise ConfigError(f"opening windows {self.windows_px}", remedy="use odd widths from 3 on")
        if not 0 < self.pixel_size_m[0] <= self.pixel_size_m[1]:
            raise ConfigError(f"pixel sizes {self.pixel_size_m} m")

    @property
    def channels(self) -> int:
        """Input channels: top hats, relief at two widths, two gradients, pixel size; trees, buildings, known."""
        return len(self.windows_px) + 5 + (3 if self.cover else 0)

    @property
    def halo_px(self) -> int:
        """Pixels around an output that affect it: widest opening window and 112 of convolutions, rounded up to 8."""
        return -(-(max(self.windows_px) + 112) // STRIDE) * STRIDE

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """Read the output of `to_dict`."""
        low, high = document["pixel_size_m"]
        return cls(
            tuple(int(w) for w in document["windows_px"]),
            (float(low), float(high)),
            int(document["width"]),
            float(document["scale_m"]),
            bool(document.get("cover", False)),
        )


def features(dsm_m: np.ndarray, pixel_size_m: float, spec: SurfaceSpec, shares: np.ndarray | None = None) -> np.ndarray:
    """Compute the inputs of the network, float32 (channels, rows, columns).

    Args:
        dsm_m: DSM heights without voids, metres.
        pixel_size_m: Size of a pixel, metres.
        spec: Inputs of the network.
        shares: (2, rows, columns), share of trees and of buildings, 0 to 1, NaN where unknown; None without a map.
    """
    z = np.asarray(dsm_m, dtype=np.float32)
    planes = [z - ndimage.grey_opening(z, size=(w, w), mode="nearest") for w in spec.windows_px]
    planes += [z - _mean(z, w) for w in (spec.windows_px[1], spec.windows_px[-1])]
    down, right = (np.asarray(g, dtype=np.float32) for g in np.gradient(z, pixel_size_m))
    planes += [down * spec.scale_m * 2, right * spec.scale_m * 2]
    compressed = [np.arcsinh(plane / spec.scale_m) for plane in planes]
    centre = np.sqrt(spec.pixel_size_m[0] * spec.pixel_size_m[1])
    compressed.append(np.full_like(z, np.log2(pixel_size_m / centre)))
    if spec.cover:
        values = np.zeros((2, *z.shape), dtype=np.float32) if shares is None else np.nan_to_num(shares)
        known = np.zeros_like(z) if shares is None else np.isfinite(shares).all(axis=0)
        compressed += [*(values * known), known]
    return np.stack(compressed).astype(np.float32)


def _mean(z: np.ndarray, width: int) -> np.ndarray:
    """Average a square around each pixel; each sum is computed afresh, so that crops agree bit for bit."""
    kernel = np.full(width, 1.0 / width)
    rows = ndimage.correlate1d(z.astype(np.float64), kernel, axis=0, mode="nearest")
    return ndimage.correlate1d(rows, kernel, axis=1, mode="nearest").astype(np.float32)


class _ConvBlock(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, padding=1)
        self.second = nn.Conv2d(outside, outside, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.second(F.relu(self.first(x))))


class SurfaceNet(nn.Module):
    """A U-Net of three halvings with dilated convolutions at the bottom, no normalisation layers.

    Args:
        spec: Inputs and size.
        channels: Number of outputs, set by the head.
    """

    def __init__(self, spec: SurfaceSpec, channels: int) -> None:
        super().__init__()
        w = spec.width
        widths = (w, 2 * w, 3 * w, 4 * w)
        self.down = nn.ModuleList(
            _ConvBlock(a, b) for a, b in zip((spec.channels, *widths[:2]), widths[:3], strict=True)
        )
        self.bottom = _ConvBlock(widths[2], widths[3])
        self.context = nn.ModuleList(nn.Conv2d(widths[3], widths[3], 3, padding=d, dilation=d) for d in (2, 4))
        pairs = zip((widths[3], widths[2], widths[1]), (widths[2], widths[1], widths[0]), strict=True)
        self.up = nn.ModuleList(_ConvBlock(a + b, b) for a, b in pairs)
        self.last = nn.Conv2d(widths[0], channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs (batch, channels, rows, columns); rows and columns are multiples of 8."""
        kept = []
        for block in self.down:
            x = block(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for layer in self.context:
            x = x + F.relu(layer(x))
        for block, skipped in zip(self.up, reversed(kept), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skipped], dim=1))
        return self.last(x)
