"""Compiled loops over pixels, shared by the writers; single pass, single-threaded, without temporaries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled, compiled_with
from orograph.pipeline.formats import numpy_forms


@compiled_with(numpy_form=numpy_forms.seal_float)
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
    """Horn's sums of one row, eight times the rise per pixel eastwards and southwards.

    Next to voids and at outer edges the gradient is that of the least-squares plane through the centre and the
    neighbours that exist, with Horn's weights: exact on planes, and equal to Horn's sums where all eight exist. It is
    NaN where the neighbours do not span a plane. The first loop is branch-free float32 code, so that the compiler
    vectorises it.
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
        east[col] = (ne - nw) + (se - sw) + (e - w) + (e - w)
        south[col] = (sw - nw) + (se - ne) + (s - n) + (s - n)
    limit = np.float32(np.inf)
    for col in range(east.size):
        # Each sum is without one of the axes' neighbours, both together contain all eight.
        if not (abs(east[col]) < limit and abs(south[col]) < limit):
            east[col], south[col] = _partial_gradient(heights, row, col)


@compiled
def _partial_gradient(heights: npt.NDArray[np.float32], row: int, col: int) -> tuple[np.float32, np.float32]:
    """Eight times the rise per pixel of the weighted least-squares plane through a centre and its valid neighbours."""
    centre = np.float64(heights[row + 1, col + 1])
    xx, xy, yy, xz, yz = 0.0, 0.0, 0.0, 0.0, 0.0
    for down in range(-1, 2):
        for right in range(-1, 2):
            rise = np.float64(heights[row + 1 + down, col + 1 + right]) - centre
            if (down == 0 and right == 0) or not abs(rise) < np.inf:
                continue
            weight = 2.0 if down == 0 or right == 0 else 1.0
            xx += weight * right * right
            xy += weight * right * down
            yy += weight * down * down
            xz += weight * right * rise
            yz += weight * down * rise
    determinant = xx * yy - xy * xy
    if determinant < 0.5:
        return np.float32(np.nan), np.float32(np.nan)
    east = 8.0 * (yy * xz - xy * yz) / determinant
    south = 8.0 * (xx * yz - xy * xz) / determinant
    return np.float32(east), np.float32(south)


@compiled
def hillshade_multidirectional(
    heights: npt.NDArray[np.float32],
    scale_x: np.float32,
    scale_y: np.float32,
    sin_altitude: np.float32,
    cos_altitude: np.float32,
    shade: npt.NDArray[np.uint8],
) -> None:
    """Shade 1..255 of the interior of a block with a one-pixel halo; 0 where height or gradient is unknown."""
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
            x = np.float32(1e-6) if abs(x) + abs(y) <= np.float32(1e-6) else x
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
            shade[row, col] = np.uint8(lit) if abs(centre) < limit and abs(x + y) < limit else np.uint8(0)


@compiled
def slope_degrees(
    heights: npt.NDArray[np.float32], scale_x: np.float32, scale_y: np.float32, slope: npt.NDArray[np.float32]
) -> None:
    """Slope of the interior of a block with a one-pixel halo; NaN where height or gradient is unknown."""
    limit = np.float32(np.inf)
    east = np.empty(slope.shape[1], np.float32)
    south = np.empty(slope.shape[1], np.float32)
    for row in range(slope.shape[0]):
        _gradient_row(heights, row, east, south)
        for col in range(slope.shape[1]):
            centre = heights[row + 1, col + 1]
            x, y = east[col] * scale_x, south[col] * scale_y
            slope[row, col] = math.degrees(math.atan(math.sqrt(x * x + y * y))) if abs(centre) < limit else np.nan


@compiled_with(numpy_form=numpy_forms.halve_average_float)
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
