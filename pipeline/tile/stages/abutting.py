"""Differences of two sources that abut without overlap, from planes fitted on both sides of their common border.

Where sources overlap, their difference is known pixel by pixel. Where one ends at the pixel at which the other begins,
it is estimated at the border itself: a plane is fitted to the better source on its side and another to the lesser source
on the other side, and both are evaluated half-way between the two. Evaluated there, the curvature of the terrain acts on
both planes alike and cancels. The estimate is bounded by the accuracies of both sources, so that a real cliff along the
border is not taken for a difference of models.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import BoolArray, FloatArray

REACH_PX: Final = 2
"""Pixels of the better source within this distance of the lesser one are its rim; a gap of one pixel is bridged."""
RADIUS_PX: Final = 4
"""Radius of the planes' neighbourhoods."""
BOUND_SIGMAS: Final = 3.0
"""Largest difference that is corrected, in standard deviations of the difference of both sources."""
HALO_PX: Final = REACH_PX + RADIUS_PX


class RimDifferences(NamedTuple):
    """Differences along a border without overlap.

    Attributes:
        known: True on rim pixels of the better source with an estimate.
        difference_m: float32, better minus lesser source there, bounded; 0 elsewhere.
        bounded: True where the bound cut the estimate.
    """

    known: BoolArray
    difference_m: FloatArray
    bounded: BoolArray


def rim_differences(
    upper_m: FloatArray, lower_m: FloatArray, new: BoolArray, sigma_m: FloatArray
) -> RimDifferences | None:
    """Estimate the difference of two sources along the part of their border where they do not overlap.

    Args:
        upper_m: Better sources, float32, metres, NaN void.
        lower_m: The lesser source, likewise.
        new: True where the lesser source gives heights and the better ones have none.
        sigma_m: Standard deviation of the difference, on the better sources' pixels.

    Returns:
        The differences; None if the sources do not abut.
    """
    alone = np.isfinite(upper_m) & ~np.isfinite(lower_m)
    rim = np.zeros(new.shape, np.bool_)
    _mark_rim(alone, new, REACH_PX, rim)
    if not rim.any():
        return None
    rows, cols = np.nonzero(rim)
    estimates = np.empty(rows.size, np.float64)
    _estimate(upper_m, lower_m, new, rows, cols, REACH_PX, RADIUS_PX, estimates)
    found = np.isfinite(estimates)
    rows, cols, estimates = rows[found], cols[found], estimates[found]
    limit = BOUND_SIGMAS * sigma_m[rows, cols]
    known, bounded = np.zeros(new.shape, np.bool_), np.zeros(new.shape, np.bool_)
    known[rows, cols] = True
    bounded[rows, cols] = np.abs(estimates) > limit
    difference = np.zeros(new.shape, np.float32)
    difference[rows, cols] = np.clip(estimates, -limit, limit)
    return RimDifferences(known, difference, bounded)


@compiled
def _mark_rim(alone: Any, new: Any, reach: int, rim: Any) -> None:  # pragma: no cover - compiled
    """Mark pixels of one mask within a distance of another."""
    rows, cols = new.shape
    for i in range(rows):
        for j in range(cols):
            if not new[i, j]:
                continue
            for a in range(max(i - reach, 0), min(i + reach + 1, rows)):
                for b in range(max(j - reach, 0), min(j + reach + 1, cols)):
                    if alone[a, b]:
                        rim[a, b] = True


@compiled
def _nearest(new: Any, row: int, col: int, reach: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """The marked pixel next to a place; the first of equals from the north-west, so that windows agree."""
    best, found_row, found_col = 1_000_000, row, col
    for i in range(max(row - reach, 0), min(row + reach + 1, new.shape[0])):
        for j in range(max(col - reach, 0), min(col + reach + 1, new.shape[1])):
            distance = (i - row) ** 2 + (j - col) ** 2
            if new[i, j] and distance < best:
                best, found_row, found_col = distance, i, j
    return found_row, found_col


@compiled
def _plane_at(heights: Any, y: float, x: float, radius: int) -> float:  # pragma: no cover - compiled
    """Height at a place of the least-squares plane through the valid pixels around it; NaN if they span no plane."""
    n, sx, sy, sxx, sxy, syy, sz, sxz, syz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(max(int(np.ceil(y - radius)), 0), min(int(np.floor(y + radius)) + 1, heights.shape[0])):
        for j in range(max(int(np.ceil(x - radius)), 0), min(int(np.floor(x + radius)) + 1, heights.shape[1])):
            z = np.float64(heights[i, j])
            if np.isnan(z):
                continue
            u, v = j - x, i - y
            n += 1.0
            sx += u
            sy += v
            sxx += u * u
            sxy += u * v
            syy += v * v
            sz += z
            sxz += u * z
            syz += v * z
    # Cramer's rule for the constant of z = a + b u + c v.
    minor = sxx * syy - sxy * sxy
    determinant = n * minor - sx * (sx * syy - sxy * sy) + sy * (sx * sxy - sxx * sy)
    if n < 6.0 or determinant < 1e-6 * n * n * n:
        return np.nan
    return (sz * minor - sx * (sxz * syy - sxy * syz) + sy * (sxz * sxy - sxx * syz)) / determinant


@compiled
def _estimate(
    upper: Any, lower: Any, new: Any, rows: Any, cols: Any, reach: int, radius: int, estimates: Any
) -> None:  # pragma: no cover - compiled
    """Difference of the two planes half-way between each rim pixel and the nearest pixel of the lesser source."""
    for k in range(rows.size):
        i, j = _nearest(new, rows[k], cols[k], reach)
        y, x = (rows[k] + i) / 2.0, (cols[k] + j) / 2.0
        estimates[k] = _plane_at(upper, y, x, radius) - _plane_at(lower, y, x, radius)
