"""Context for filters at edges: extrapolates heights into voids and past borders, and masks voids afterwards."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import BoolArray, FloatArray

_DAMPING: Final = 0.75
_SLOPING_RINGS: Final = 3
"""Rings that continue the slope; those beyond carry the mean of their neighbours, or roughness would grow outwards."""


@compiled
def _grow(heights: npt.NDArray[np.float64], todo: npt.NDArray[np.int64], rings: int) -> None:
    """Fill pixels of `todo` (row, column), ring after ring outwards from the valid ones, in place."""
    rows, columns = heights.shape
    left = todo.shape[0]
    values = np.empty(left, np.float64)
    for ring in range(rings):
        found = 0
        for i in range(left):
            row, column = todo[i, 0], todo[i, 1]
            total = 0.0
            weight = 0.0
            for dr in range(-1, 2):
                for dc in range(-1, 2):
                    r1, c1 = row + dr, column + dc
                    if r1 < 0 or c1 < 0 or r1 >= rows or c1 >= columns or np.isnan(heights[r1, c1]):
                        continue
                    guess = heights[r1, c1]
                    r2, c2 = row + 2 * dr, column + 2 * dc
                    if ring < _SLOPING_RINGS and 0 <= r2 < rows and 0 <= c2 < columns and not np.isnan(heights[r2, c2]):
                        guess += _DAMPING**ring * (heights[r1, c1] - heights[r2, c2])
                    w = 1.0 if dr == 0 or dc == 0 else 0.5
                    total += w * guess
                    weight += w
            values[i] = total / weight if weight > 0.0 else np.nan
        # Two passes a ring, so that the order of pixels within a ring does not matter.
        kept = 0
        for i in range(left):
            if np.isnan(values[i]):
                todo[kept, 0], todo[kept, 1] = todo[i, 0], todo[i, 1]
                kept += 1
            else:
                heights[todo[i, 0], todo[i, 1]] = values[i]
                found += 1
        left = kept
        if found == 0:
            return


def context_px(reach_px: int) -> int:
    """Halo in coarse pixels that a filter of this radius needs next to voids."""
    return 2 * reach_px + min(reach_px, _SLOPING_RINGS)


def with_context(heights_m: FloatArray, reach_px: int) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """Continue heights into voids and past the border by damped linear extrapolation.

    The input of a filter of radius `reach_px` at a valid pixel depends only on heights within `context_px(reach_px)`,
    so tilings with that halo agree bit for bit.

    Args:
        heights_m: float32, shape (rows, columns), metres; NaN is void.
        reach_px: How far to continue, in pixels.

    Returns:
        float64 heights of shape (rows + 2 reach, columns + 2 reach) without NaN (zero where no height is near), and
        the validity of the input, shape (rows, columns).
    """
    valid = np.isfinite(heights_m)
    padded = np.full((heights_m.shape[0] + 2 * reach_px, heights_m.shape[1] + 2 * reach_px), np.nan)
    inner = padded[reach_px : reach_px + heights_m.shape[0], reach_px : reach_px + heights_m.shape[1]]
    inner[valid] = heights_m[valid]
    if reach_px > 0:
        _grow(padded, np.argwhere(np.isnan(padded)).astype(np.int64), reach_px)
    np.nan_to_num(padded, copy=False, nan=0.0)
    return padded, valid


def mask_fine(fine: FloatArray, valid: BoolArray, factor: int) -> FloatArray:
    """Set fine pixels of void coarse pixels to NaN, in place, and return them."""
    if not valid.all():
        fine[np.repeat(np.repeat(~valid, factor, axis=0), factor, axis=1)] = np.nan
    return fine
