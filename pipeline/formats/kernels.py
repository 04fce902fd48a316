"""Compiled loops over pixels, shared by the writers; single pass, single-threaded, without temporaries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled


@compiled
def seal_float(values: npt.NDArray[np.float32], nodata: float, sealed: npt.NDArray[np.float32]) -> tuple[float, ...]:
    """Copy with NaN replaced by `nodata`; returns count, minimum, maximum, sum, sum of squares of the finite values."""
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
    """Count, minimum, maximum, sum, sum of squares of values other than `nodata`."""
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
    """Horn's sums of one row, eight times the rise per pixel eastwards and southwards; void neighbours are level.

    Branch-free float32 code, so that the compiler vectorises it.
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
    """Shade 1..255 of the interior of a block with a one-pixel halo; 0 where the height is void."""
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
            # On level terrain all lights are equal: a tiny slope represents any aspect.
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
    """Slope of the interior of a block with a one-pixel halo; NaN where the height is void."""
    limit = np.float32(np.inf)
    east = np.empty(slope.shape[1], np.float32)
    south = np.empty(slope.shape[1], np.float32)
    for row in range(slope.shape[0]):
        _gradient_row(heights, row, east, south)
        for col in range(slope.shape[1]):
            centre = heights[row + 1, col + 1]
            x, y = east[col] * scale_x, south[col] * scale_y
            slope[row, col] = math.degrees(math.atan(math.sqrt(x * x + y * y))) if abs(centre) < limit else np.nan


@compiled
def halve_average_float(
    values: npt.NDArray[np.float32], void: np.float32, _has_void: bool, halved: npt.NDArray[np.float32]
) -> None:
    """Mean of the valid pixels of each 2 by 2, `void` if there are none."""
    rows, cols = values.shape
    zero, one = np.float32(0.0), np.float32(1.0)
    for row in range(halved.shape[0]):
        upper = values[2 * row]
        lower = values[min(2 * row + 1, rows - 1)]
        lower_counts = one if 2 * row + 1 < rows else zero
        for col in range(cols // 2):
            a, b, c, d = upper[2 * col], upper[2 * col + 1], lower[2 * col], lower[2 * col + 1]
            weight_a = one if a != void else zero
            weight_b = one if b != void else zero
            weight_c = lower_counts if c != void else zero
            weight_d = lower_counts if d != void else zero
            count = weight_a + weight_b + weight_c + weight_d
            total = weight_a * a + weight_b * b + weight_c * c + weight_d * d
            halved[row, col] = total / count if count > zero else void
        if cols % 2:
            a, c = upper[cols - 1], lower[cols - 1]
            weight_a = one if a != void else zero
            weight_c = lower_counts if c != void else zero
            count = weight_a + weight_c
            halved[row, cols // 2] = (weight_a * a + weight_c * c) / count if count > zero else void


@compiled
def halve_average_integer(values: npt.NDArray[Any], void: Any, has_void: bool, halved: npt.NDArray[Any]) -> None:
    """Mean of the valid pixels of each 2 by 2, rounded half away from zero, `void` if there are none."""
    rows, cols = values.shape
    for row in range(halved.shape[0]):
        for col in range(halved.shape[1]):
            count = 0
            total = np.int64(0)
            for down in range(2 * row, min(2 * row + 2, rows)):
                for right in range(2 * col, min(2 * col + 2, cols)):
                    value = np.int64(values[down, right])
                    valid = not has_void or value != void
                    count += valid
                    total += value * valid
            if count == 0:
                halved[row, col] = void
            elif total >= 0:
                halved[row, col] = (2 * total + count) // (2 * count)
            else:
                halved[row, col] = -((-2 * total + count) // (2 * count))


@compiled
def halve_nearest(values: npt.NDArray[Any], void: Any, has_void: bool, halved: npt.NDArray[Any]) -> None:
    """The first valid pixel of each 2 by 2, `void` if there is none."""
    rows, cols = values.shape
    for row in range(halved.shape[0]):
        for col in range(halved.shape[1]):
            chosen = values[2 * row, 2 * col]
            for down in range(2 * row, min(2 * row + 2, rows)):
                for right in range(2 * col, min(2 * col + 2, cols)):
                    if has_void and chosen == void:
                        chosen = values[down, right]
            halved[row, col] = chosen


@compiled
def halve_mode(values: npt.NDArray[Any], void: Any, has_void: bool, halved: npt.NDArray[Any]) -> None:
    """The most frequent valid value of each 2 by 2, the first of equals, `void` if there is none."""
    rows, cols = values.shape
    for row in range(halved.shape[0]):
        for col in range(halved.shape[1]):
            chosen, best = void, 0
            for down in range(2 * row, min(2 * row + 2, rows)):
                for right in range(2 * col, min(2 * col + 2, cols)):
                    value = values[down, right]
                    if has_void and value == void:
                        continue
                    votes = 0
                    for other_down in range(2 * row, min(2 * row + 2, rows)):
                        for other_right in range(2 * col, min(2 * col + 2, cols)):
                            votes += values[other_down, other_right] == value
                    if votes > best:
                        chosen, best = value, votes
            halved[row, col] = chosen
