"""Compiled loops over pixels, shared by the writers; one pass each, single-threaded, without temporaries."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt


def compiled(function: Callable[..., Any]) -> Any:
    """Compile with numba, kept on disk between processes where there is a place for it."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # neither the package nor the user's cache folder can be written
        return numba.njit(nogil=True)(function)


@compiled
def seal_float(values: npt.NDArray[np.float32], nodata: float, sealed: npt.NDArray[np.float32]) -> tuple[float, ...]:
    """Copy with NaN replaced by `nodata`; returns count, minimum, maximum, sum, sum of squares of what is finite."""
    count, low, high, total, squares = 0, math.inf, -math.inf, 0.0, 0.0
    for row in range(values.shape[0]):
        row_total, row_squares = 0.0, 0.0
        for col in range(values.shape[1]):
            value = values[row, col]
            if math.isfinite(value):
                sealed[row, col] = value
                count += 1
                low = min(low, value)
                high = max(high, value)
                row_total += value
                row_squares += np.float64(value) * np.float64(value)
            else:
                sealed[row, col] = nodata
        total += row_total
        squares += row_squares
    return float(count), low, high, total, squares


@compiled
def measure_integers(values: npt.NDArray[Any], nodata: int, has_nodata: bool) -> tuple[float, ...]:
    """Count, minimum, maximum, sum, sum of squares of what is not `nodata`."""
    count, low, high, total, squares = 0, math.inf, -math.inf, 0.0, 0.0
    for row in range(values.shape[0]):
        for col in range(values.shape[1]):
            value = float(values[row, col])
            if has_nodata and value == nodata:
                continue
            count += 1
            low = min(low, value)
            high = max(high, value)
            total += value
            squares += value * value
    return float(count), low, high, total, squares


@compiled
def _gradient_row(
    heights: npt.NDArray[np.float32], row: int, east: npt.NDArray[np.float32], south: npt.NDArray[np.float32]
) -> None:
    """Horn's sums of one row, eight times the rise per pixel eastwards and southwards; a void neighbour is level.

    Straight-line float32 on purpose: the compiler turns it into vector instructions.
    """
    for col in range(east.size):
        centre = heights[row + 1, col + 1]
        nw = heights[row, col] - centre
        n = heights[row, col + 1] - centre
        ne = heights[row, col + 2] - centre
        w = heights[row + 1, col] - centre
        e = heights[row + 1, col + 2] - centre
        sw = heights[row + 2, col] - centre
        s = heights[row + 2, col + 1] - centre
        se = heights[row + 2, col + 2] - centre
        zero, limit = np.float32(0.0), np.float32(np.inf)
        nw = nw if abs(nw) < limit else zero
        n = n if abs(n) < limit else zero
        ne = ne if abs(ne) < limit else zero
        w = w if abs(w) < limit else zero
        e = e if abs(e) < limit else zero
        sw = sw if abs(sw) < limit else zero
        s = s if abs(s) < limit else zero
        se = se if abs(se) < limit else zero
        east[col] = (ne - nw) + (se - sw) + (e - w) + (e - w)
        south[col] = (sw - nw) + (se - ne) + (s - n) + (s - n)


@compiled
def hillshade_multidirectional(
    heights: npt.NDArray[np.float32],
    scale_x: np.float32,
    scale_y: np.float32,
    sin_altitude: np.float32,
    cos_altitude: np.float32,
    shade: npt.NDArray[np.uint8],
) -> None:
    """Shade 1..255 of the inside of a block with a one-pixel halo; 0 where the height is void."""
    diagonal = np.float32(math.sqrt(0.5)) * cos_altitude
    zero, one, half = np.float32(0.0), np.float32(1.0), np.float32(0.5)
    limit = np.float32(np.inf)
    east = np.empty(shade.shape[1], np.float32)
    south = np.empty(shade.shape[1], np.float32)
    for row in range(shade.shape[0]):
        _gradient_row(heights, row, east, south)
        for col in range(shade.shape[1]):
            x = east[col] * scale_x
            y = south[col] * scale_y
            # On level ground all lights are equal: a tiny slope stands for any aspect.
            x = x if abs(x) + abs(y) > np.float32(1e-6) else np.float32(1e-6)
            square = x * x + y * y
            weight_nw = half * square + x * y
            north_west = max(zero, sin_altitude + (x + y) * diagonal)
            south_west = max(zero, sin_altitude + (x - y) * diagonal)
            west = max(zero, sin_altitude + x * cos_altitude)
            north = max(zero, sin_altitude + y * cos_altitude)
            mixed = (square - weight_nw) * south_west + x * x * west + weight_nw * north_west + y * y * north
            lit = one + np.float32(127.0) * mixed / (square * np.sqrt(one + square))
            lit = min(np.float32(255.0), lit + half)
            centre = heights[row + 1, col + 1]
            shade[row, col] = np.uint8(lit) if abs(centre) < limit else np.uint8(0)


@compiled
def slope_degrees(
    heights: npt.NDArray[np.float32], scale_x: np.float32, scale_y: np.float32, slope: npt.NDArray[np.float32]
) -> None:
    """Slope of the inside of a block with a one-pixel halo; NaN where the height is void."""
    limit = np.float32(np.inf)
    east = np.empty(slope.shape[1], np.float32)
    south = np.empty(slope.shape[1], np.float32)
    for row in range(slope.shape[0]):
        _gradient_row(heights, row, east, south)
        for col in range(slope.shape[1]):
            centre = heights[row + 1, col + 1]
            x, y = east[col] * scale_x, south[col] * scale_y
            slope[row, col] = math.degrees(math.atan(math.sqrt(x * x + y * y))) if abs(centre) < limit else np.nan
