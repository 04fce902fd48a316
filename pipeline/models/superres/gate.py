"""The gate: where the network's correction is small against its own error, GDAL's cubic is kept.

For an unbiased network the squared error of cubic exceeds its own by the square of what it changes. Whether that shows
in a small block depends on the ratio of change to error there, so the ratio opens the gate. What it falls back to is
the interpolant everybody has: no block can be worse than doing nothing special.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor

from pipeline.models.interpolants import Interpolant
from pipeline.models.superres.network import MODES
from pipeline.raster import FloatArray
from pipeline.sources import Thinning

_BOX_PX: Final = 5
GATE_REACH_PX: Final = _BOX_PX + 1
"""Coarse pixels beyond a pixel that its gate depends on."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Opening by ratio of squared change to squared error.

    Attributes:
        closed_below: Ratio below which cubic is kept, by mode.
        open_above: Ratio above which the network is kept; linear between.
    """

    closed_below: tuple[float, ...]
    open_above: tuple[float, ...]

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Self | None:
        """The gate stored beside a network's weights, or None."""
        if "gate.thresholds" not in tensors:
            return None
        low, high = tensors["gate.thresholds"].T.tolist()
        return cls(tuple(low), tuple(high))

    def opening(
        self, fine: FloatArray, cubic: FloatArray, sigma: FloatArray, factor: int, mode: Thinning
    ) -> FloatArray:
        """How far the gate is open at every fine pixel, 0 to 1."""
        low, high = self.closed_below[MODES.index(mode)], self.open_above[MODES.index(mode)]
        ratio = change_ratio(fine, cubic, sigma, factor)
        coarse = np.clip((ratio - low) / max(high - low, 1e-9), 0.0, 1.0).astype(np.float32)
        smooth, _ = Interpolant("bilinear")(coarse, factor=factor)
        return smooth

    def __call__(
        self, fine: FloatArray, cubic: FloatArray, sigma: FloatArray, factor: int, mode: Thinning
    ) -> tuple[FloatArray, FloatArray]:
        """Heights and standard errors with the gate applied; NaN stays."""
        if self.open_above[MODES.index(mode)] <= 0.0:
            return fine, sigma
        opening = self.opening(fine, cubic, sigma, factor, mode)
        withheld = (1.0 - opening) * (fine - cubic)
        return np.where(opening == 0.0, cubic, fine - withheld), np.hypot(sigma, withheld)


def change_ratio(fine: FloatArray, cubic: FloatArray, sigma: FloatArray, factor: int) -> npt.NDArray[np.float64]:
    """Squared change over squared error, both summed around each coarse pixel; voids do not count."""
    change = _around(np.nan_to_num(np.square(fine - cubic)), factor)
    error = _around(np.nan_to_num(np.square(sigma)), factor)
    return change / np.maximum(error, 1e-12)


def _around(values: FloatArray, factor: int) -> npt.NDArray[np.float64]:
    """Sums over coarse pixels and a box around each, in one order of summation wherever the window begins."""
    rows, columns = values.shape[0] // factor, values.shape[1] // factor
    blocks = values.reshape(rows, factor, columns, factor).astype(np.float64)
    total = np.zeros((rows, columns))
    for p in range(factor):
        for q in range(factor):
            total += blocks[:, p, :, q]
    padded = np.pad(total, _BOX_PX)
    down = np.zeros((rows, columns + 2 * _BOX_PX))
    for k in range(2 * _BOX_PX + 1):
        down += padded[k : k + rows]
    out = np.zeros((rows, columns))
    for k in range(2 * _BOX_PX + 1):
        out += down[:, k : k + columns]
    return out
