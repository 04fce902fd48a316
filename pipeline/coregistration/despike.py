"""Prepares a raster for interpolation: removes spikes, fills small voids and the rims of large ones.

Filled pixels serve as taps of the kernel only; the original raster decides whether a sample is valid, so no void
shrinks or grows.
"""

from __future__ import annotations

from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled_with
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.coregistration.cpu_kernels import by_numpy, cpu_kernels
from orograph.pipeline.coregistration.threads import in_bands

Array = npt.NDArray[Any]

SPIKE_FACTOR: Final = 30.0
"""A pixel is a spike if it differs from the median of its neighbours by this many NMADs of second differences."""
_SAMPLES: Final = 50_000


@compiled_with(error_model="numpy")
def _median_of_neighbours(heights: Array, row: int, col: int, work: Array) -> float:
    """Median of the up to eight valid neighbours; NaN with fewer than three."""
    n = 0
    for r in range(max(row - 1, 0), min(row + 2, heights.shape[0])):
        for c in range(max(col - 1, 0), min(col + 2, heights.shape[1])):
            h = heights[r, c]
            if (r != row or c != col) and np.isfinite(h):
                k = n
                while k > 0 and work[k - 1] > h:
                    work[k] = work[k - 1]
                    k -= 1
                work[k] = h
                n += 1
    if n < 3:
        return np.nan
    return work[n // 2] if n % 2 else 0.5 * (work[n // 2 - 1] + work[n // 2])


@compiled_with(error_model="numpy")
def _is_spike(heights: Array, row: int, col: int, threshold: float, work: Array) -> bool:
    """Whether a height differs from its neighbours in both directions and from their median."""
    h = heights[row, col]
    if 0 < col < heights.shape[1] - 1 and abs(h - 0.5 * (heights[row, col - 1] + heights[row, col + 1])) <= threshold:
        return False
    if 0 < row < heights.shape[0] - 1 and abs(h - 0.5 * (heights[row - 1, col] + heights[row + 1, col])) <= threshold:
        return False
    return abs(h - _median_of_neighbours(heights, row, col, work)) > threshold


@compiled_with(error_model="numpy")
def _solve6(a: Array, b: Array) -> float:
    """First unknown of a symmetric positive definite system of six, by Cholesky in place."""
    for j in range(6):
        for k in range(j):
            a[j, j] -= a[j, k] * a[j, k]
        a[j, j] = np.sqrt(a[j, j])
        for i in range(j + 1, 6):
            for k in range(j):
                a[i, j] -= a[i, k] * a[j, k]
            a[i, j] /= a[j, j]
    for i in range(6):
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(5, -1, -1):
        for k in range(i + 1, 6):
            b[i] -= a[k, i] * b[k]
        b[i] /= a[i, i]
    return b[0]


@compiled_with(error_model="numpy")
def _weighted_mean(heights: Array, row: int, col: int) -> float:
    """Mean of the valid heights of a 5 x 5 neighbourhood, weighted by proximity; NaN without any."""
    total = mean = 0.0
    for r in range(max(row - 2, 0), min(row + 3, heights.shape[0])):
        for c in range(max(col - 2, 0), min(col + 3, heights.shape[1])):
            if np.isfinite(heights[r, c]):
                w = np.exp(-0.5 * ((r - row) ** 2 + (c - col) ** 2))
                total += w
                mean += w * heights[r, c]
    return mean / total if total > 0.0 else np.nan


@compiled_with(error_model="numpy")
def _local_surface(heights: Array, row: int, col: int, a: Array, b: Array, phi: Array) -> float:
    """Quadratic through the valid heights of a 5 x 5 neighbourhood, flatter the fewer there are; NaN without any."""
    mean = _weighted_mean(heights, row, col)
    if np.isnan(mean):
        return mean
    a[:] = 0.0
    b[:] = 0.0
    for r in range(max(row - 2, 0), min(row + 3, heights.shape[0])):
        for c in range(max(col - 2, 0), min(col + 3, heights.shape[1])):
            if np.isfinite(heights[r, c]):
                dy, dx = float(r - row), float(c - col)
                w = np.exp(-0.5 * (dy * dy + dx * dx))
                phi[0], phi[1], phi[2], phi[3], phi[4], phi[5] = 1.0, dx, dy, dx * dx, dx * dy, dy * dy
                for i in range(6):
                    b[i] += w * phi[i] * (heights[r, c] - mean)
                    for j in range(i + 1):
                        a[i, j] += w * phi[i] * phi[j]
    a[0, 0] += 1e-6
    for i in range(1, 6):
        # A weak prior towards the plane, weaker towards the mean: one-sided neighbourhoods must not oscillate.
        a[i, i] += 1e-3 if i < 3 else 3e-2
    return mean + _solve6(a, b)


@compiled_with(error_model="numpy")
def _despike_rows(heights: Array, threshold: float, first: int, last: int, dirty: bool, out: Array) -> None:
    """Repair rows `first` to `last` into `out`; clean ones are copied."""
    if not dirty:
        out[first:last] = heights[first:last]
        return
    rows, cols = heights.shape
    top, bottom = max(first - 2, 0), min(last + 2, rows)
    clean = heights[top:bottom].copy()
    work, a, b, phi = np.empty(8), np.empty((6, 6)), np.empty(6), np.empty(6)
    for r in range(top, bottom):
        for c in range(cols):
            if np.isfinite(heights[r, c]) and _is_spike(heights, r, c, threshold, work):
                clean[r - top, c] = np.nan
    for r in range(first, last):
        for c in range(cols):
            h = clean[r - top, c]
            out[r, c] = h if np.isfinite(h) else _local_surface(clean, r - top, c, a, b, phi)


@compiled_with(error_model="numpy")
def _is_dirty(heights: Array, threshold: float, first: int, last: int) -> bool:
    """Whether any of the rows contains a void or a spike."""
    work = np.empty(8)
    cols = heights.shape[1]
    for r in range(first, last):
        line = heights[r]
        smooth = 0
        for c in range(1, cols - 1):
            # Branch-free counting lets the compiler process many columns at once; a void counts as rough.
            smooth += abs(line[c] - np.float32(0.5) * (line[c - 1] + line[c + 1])) <= threshold
        if smooth == cols - 2:
            continue
        for c in range(cols):
            rough = c == 0 or c == cols - 1
            if not rough:
                rough = not abs(line[c] - np.float32(0.5) * (line[c - 1] + line[c + 1])) <= threshold
            if rough and (not np.isfinite(line[c]) or _is_spike(heights, r, c, threshold, work)):
                return True
    return False


def spike_threshold_m(heights_m: FloatArray) -> float:
    """Allowed difference of a height from its neighbours (metres): a multiple of the second differences' NMAD."""
    rows, cols = heights_m.shape
    if cols < 3:
        return np.inf
    step = max(1, int(np.sqrt(rows * cols / _SAMPLES)))
    left, middle, right = (heights_m[::step, k : cols - 2 + k : step] for k in range(3))
    second = np.abs(middle - 0.5 * (left + right))
    second = second[np.isfinite(second)]
    if second.size < 10:
        return np.inf
    return max(SPIKE_FACTOR * 1.4826 * float(np.median(second)), 1.0)


def despike(heights_m: FloatArray, *, spikes: bool = True, threads: int = 1) -> FloatArray:
    """Replace spikes, and fill voids up to two pixels from data; a raster without any is returned unchanged.

    Heights in metres, float32, NaN is void; voids deeper than two pixels stay.
    """
    threshold = float(np.float32(spike_threshold_m(heights_m))) if spikes else float("inf")
    if by_numpy():
        return cast("FloatArray", cpu_kernels().despike(heights_m, threshold))
    rows = heights_m.shape[0]
    found = in_bands(lambda a, b: (a, bool(_is_dirty(heights_m, threshold, a, b))), rows, threads)
    dirty = dict(found)
    if not any(dirty.values()):
        return heights_m
    out = np.empty_like(heights_m)
    in_bands(lambda a, b: _despike_rows(heights_m, threshold, a, b, dirty[a], out), rows, threads)
    return out
