"""Significance gate: accept part of the network's correction in each block, or keep GDAL's cubic there.

For an unbiased network the squared error of cubic exceeds the network's by the square of the change between them; the
ratio of that change to the network's error determines whether the gain is significant in a small block. Blocks of 10 x
10 coarse pixels of the global lattice with a small ratio are closed. In open ones the correction is shortened: half a
step towards the truth loses a quarter of the gain in squared error but is on the wrong side of cubic far more rarely.
Closing is all or nothing within a block, because correcting fewer pixels of a block makes a chance loss more probable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import minimum_filter
from torch import Tensor

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.sources.catalogue import Thinning
from orograph.pipeline.superres.interpolants import Interpolant
from orograph.pipeline.superres.network import MODES

GATE_BLOCK_PX: Final = 10
GATE_REACH_PX: Final = GATE_BLOCK_PX + 4
"""Coarse pixels beyond a pixel that its gate depends on: the rest of its block, the next one's rim, the ramp."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Share of the correction by the ratio of squared change to squared error.

    Attributes:
        cubic_below: Ratio below which a block keeps cubic, by mode.
        share: Share of the correction that open blocks take, by mode; 1 and a ratio of 0 switch the gate off.
    """

    cubic_below: tuple[float, ...]
    share: tuple[float, ...]

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> Self | None:
        """Return the gate stored with a network's weights, or None."""
        if "gate.thresholds" not in tensors:
            return None
        ratio, share = tensors["gate.thresholds"].T.tolist()
        return cls(tuple(ratio), tuple(share))

    def __call__(
        self,
        fine: FloatArray,
        cubic: FloatArray,
        sigma: FloatArray,
        factor: int,
        mode: Thinning,
        origin_px: tuple[int, int] = (0, 0),
    ) -> tuple[FloatArray, FloatArray]:
        """Return heights and standard errors with the gate applied; NaN stays.

        Args:
            fine: The network's heights.
            cubic: GDAL's cubic on the same grid.
            sigma: Standard error of `fine`.
            factor: Fine pixels along a coarse pixel's side.
            mode: Thinning mode of the source.
            origin_px: Row and column of the first coarse pixel on the source's global lattice.
        """
        index = MODES.index(mode)
        least, share = self.cubic_below[index], self.share[index]
        if least <= 0.0 and share >= 1.0:
            return fine, sigma
        ratio = change_ratio(fine, cubic, sigma, factor, origin_px)
        # Ramps are inside open blocks, so that a closed block is cubic to its last pixel.
        coarse = minimum_filter((ratio >= least).astype(np.float32) * np.float32(share), size=3, mode="nearest")
        taken, _ = Interpolant("bilinear")(coarse, factor=factor)
        withheld = (1.0 - taken) * (fine - cubic)
        return np.where(taken == 0.0, cubic, fine - withheld), np.hypot(sigma, withheld)


def change_ratio(
    fine: FloatArray, cubic: FloatArray, sigma: FloatArray, factor: int, origin_px: tuple[int, int] = (0, 0)
) -> npt.NDArray[np.float64]:
    """Ratio of squared change to squared error, each summed over the lattice block of a coarse pixel.

    Shape (rows, columns) of the coarse grid; voids do not count.
    """
    change = _by_block(np.nan_to_num(np.square(fine - cubic)), factor, origin_px)
    error = _by_block(np.nan_to_num(np.square(sigma)), factor, origin_px)
    return change / np.maximum(error, 1e-12)


def _by_block(values: FloatArray, factor: int, origin_px: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Sums over lattice blocks at every coarse pixel, in one order of summation wherever the window begins."""
    rows, columns = values.shape[0] // factor, values.shape[1] // factor
    cells = values.reshape(rows, factor, columns, factor).astype(np.float64)
    pixel = np.zeros((rows, columns))
    for p in range(factor):
        for q in range(factor):
            pixel += cells[:, p, :, q]
    n = GATE_BLOCK_PX
    before = (origin_px[0] % n, origin_px[1] % n)
    after = (-(before[0] + rows) % n, -(before[1] + columns) % n)
    padded = np.pad(pixel, ((before[0], after[0]), (before[1], after[1])))
    blocks = padded.reshape(padded.shape[0] // n, n, padded.shape[1] // n, n)
    total = np.zeros((blocks.shape[0], blocks.shape[2]))
    for i in range(n):
        for j in range(n):
            total += blocks[:, i, :, j]
    spread = np.repeat(np.repeat(total, n, axis=0), n, axis=1)
    return spread[before[0] : before[0] + rows, before[1] : before[1] + columns]
