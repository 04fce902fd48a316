"""Errors that depend on the terrain around a target pixel: resampling errors, and position errors on slopes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.resampling.node_grid import Target
from orograph.pipeline.superres.interpolation_error import resampling_error, resampling_reach_px

_DROPPED_BITS: Final = 18
"""Last bits of a standard error's 24-bit mantissa that are rounded away: 1.6 %. Rasters of it then compress well."""


def local_reach_px(resampled: bool, horizontal_m: float) -> int:
    """Number of target pixels around a window on which its local errors depend."""
    return resampling_reach_px() if resampled else int(horizontal_m > 0.0)


def add_local_errors(
    heights_m: FloatArray,
    sigma_m: FloatArray | float,
    target: Target,
    averaged: bool | None,
    horizontal_m: float,
) -> FloatArray | float:
    """Add errors of resampling and of positions to a standard deviation.

    Args:
        heights_m: float32, shape of the target with `local_reach_px` of context, NaN is void.
        sigma_m: Standard deviation from everything else, metres.
        target: The target window including this context.
        averaged: Whether pixels are means over their area; None for heights without a resampling error.
        horizontal_m: Standard deviation of positions along each axis, metres.
    """
    if averaged is None and horizontal_m == 0.0:
        return sigma_m
    size, origin = target.pixel_size_m, (target.row, target.col)
    extra = np.zeros(heights_m.shape, np.float32)
    if averaged is not None:
        extra = resampling_error(heights_m, size, averaged, origin)
    base = np.broadcast_to(np.asarray(sigma_m, np.float32), heights_m.shape)
    out = np.empty(heights_m.shape, np.float32)
    _combine(heights_m, base, extra, np.float32(horizontal_m / (2.0 * size)), out)
    return out


@compiled
def _combine(heights: Any, base: Any, extra: Any, per_difference: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Root of the sum of squares; slopes are central differences, one-sided next to voids and the window's rim."""
    rows, columns = heights.shape
    for i in range(rows):
        for j in range(columns):
            here = heights[i, j]
            total = base[i, j] * base[i, j] + extra[i, j] * extra[i, j]
            if per_difference > 0.0:
                for axis in range(2):
                    if axis == 0:
                        before = heights[i - 1, j] if i > 0 else np.float32(np.nan)
                        after = heights[i + 1, j] if i + 1 < rows else np.float32(np.nan)
                    else:
                        before = heights[i, j - 1] if j > 0 else np.float32(np.nan)
                        after = heights[i, j + 1] if j + 1 < columns else np.float32(np.nan)
                    rise = after - before
                    if np.isnan(before):
                        rise = np.float32(2.0) * (after - here)
                    elif np.isnan(after):
                        rise = np.float32(2.0) * (here - before)
                    if not np.isnan(rise):
                        total += (per_difference * rise) ** 2
            out[i, j] = np.sqrt(total)


def rounded(sigma_m: FloatArray | float) -> FloatArray | float:
    """Round standard errors to a few binary digits, metres."""
    bits = np.atleast_1d(np.asarray(sigma_m, np.float32)).copy().view(np.uint32)
    bits += np.uint32(1 << (_DROPPED_BITS - 1))
    bits &= np.uint32(0xFFFFFFFF ^ ((1 << _DROPPED_BITS) - 1))
    values = bits.view(np.float32)
    return values if isinstance(sigma_m, np.ndarray) else float(values[0])
