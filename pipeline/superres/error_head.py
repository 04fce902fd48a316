"""The error head: a scale for every fine pixel, proportional to the relief, calibrated on held-out terrain.

The scale is a non-negative combination of the absolute features of the frozen body (degree one: twice the relief, twice
the error), trained by the Laplace likelihood. Widths of the 68 % and 95 % bands are its multiples, calibrated by mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.network import MODES, Condition

SCALE_FLOOR_M: Final = 1e-3
"""Least scale in the likelihood: heights are stored in millimetres at best."""


class ErrorHead(nn.Module):
    """Network layer that predicts errors, for training: kernels before softplus, (modes, factor**2, channels, 3, 3)."""

    def __init__(self, factor: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((len(MODES), factor * factor, channels, 3, 3), -6.0))

    def forward(self, features: Tensor, condition: Condition) -> Tensor:
        """Scale by phase, float32, from the body's features (batch, channels, rows, columns)."""
        kernels = F.softplus(self.weight[MODES.index(condition.thinning)])
        return F.conv2d(features.abs().float(), kernels, padding=1) + SCALE_FLOOR_M


def laplace_loss(error: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Mean negative log-likelihood of errors under Laplace distributions of these scales."""
    values = torch.log(2.0 * scale) + error.abs() / scale
    return (values * weight).sum() / weight.sum().clamp_min(1.0)


@dataclass(frozen=True, slots=True, eq=False)
class ErrorModel:
    """Error head with its trained weights.

    Attributes:
        weight: Kernels before softplus.
        multiples: Shape (modes, 2, 2): multiples of the scale for (single pass, ensemble) and (68 %, 95 %).
    """

    weight: Tensor
    multiples: Tensor

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Self | None:
        """Return the error model stored with a network's weights, or None."""
        if "error.weight" not in tensors:
            return None
        return cls(tensors["error.weight"], tensors["error.multiples"])

    def kernels(self, condition: Condition) -> Tensor:
        """Non-negative kernels of a mode, shape (factor**2, channels, 3, 3)."""
        return F.softplus(self.weight[MODES.index(condition.thinning)])

    def half_width(self, scale: FloatArray, thinning: Thinning, ensemble: bool) -> FloatArray:
        """Half-width of the 68 % band, metres."""
        multiple = float(self.multiples[MODES.index(thinning), int(ensemble), 0])
        return (scale + SCALE_FLOOR_M) * multiple

    def wide_ratio(self, thinning: Thinning, ensemble: bool) -> float:
        """Half-width of the 95 % band over that of the 68 % band."""
        narrow, wide = self.multiples[MODES.index(thinning), int(ensemble)]
        return float(wide / narrow)
