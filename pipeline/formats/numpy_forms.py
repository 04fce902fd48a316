"""Numpy forms of the writers' kernels, for a command that would otherwise wait for their compilation.

They do the same arithmetic in the same order, so that files have the same bytes either way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def seal_float(values: Array, nodata: float, sealed: Array) -> tuple[float, ...]:
    """Copy with voids replaced, and statistics; see `kernels.seal_float`."""
    finite = np.isfinite(values)
    known = np.where(finite, values, np.float32(0.0))
    sealed[...] = np.where(finite, known, np.float32(nodata))
    exact = known.astype(np.float64)
    # A cumulative sum adds from left to right, as the kernel does; numpy's sum adds pairwise.
    total, squares = (
        float(np.cumsum(np.cumsum(part, axis=1)[:, -1])[-1]) if part.size else 0.0 for part in (exact, exact * exact)
    )
    if not finite.any():
        return 0.0, math.inf, -math.inf, total, squares
    held = values[finite]
    return float(held.size), float(held.min()), float(held.max()), total, squares


def halve_average_float(values: Array, void: np.float32, _has_void: bool, halved: Array) -> None:
    """Mean of the valid pixels of each 2 by 2; see `kernels.halve_average_float`."""
    odd = [(0, 2 * half - size) for half, size in zip(halved.shape, values.shape, strict=True)]
    whole = np.pad(values, odd, constant_values=void)
    total, count = np.zeros(halved.shape, np.float32), np.zeros(halved.shape, np.float32)
    for down in (0, 1):
        for right in (0, 1):
            tap = whole[down::2, right::2]
            valid = tap != void
            total += np.where(valid, tap, np.float32(0.0))
            count += valid
    halved[...] = np.where(count > 0, total / np.maximum(count, np.float32(1.0)), void)


def shrink_average(
    values: Array, void: Any, has_void: bool, rows: Array, cols: Array, whole: bool, shrunk: Array
) -> None:
    """Mean of the valid part of each rectangle, by area; see `area_kernels.shrink_average`."""
    total, mass = np.zeros(shrunk.shape), np.zeros(shrunk.shape)
    for row, height in _overlaps(rows, values.shape[0]):
        line = values[row]
        for col, width in _overlaps(cols, values.shape[1]):
            tap = line[:, col]
            weight = height[:, None] * width[None, :]
            if has_void:
                weight = np.where(tap == void, 0.0, weight)
            total += weight * tap
            mass += weight
    mean = total / np.where(mass > 0.0, mass, 1.0)
    if whole:
        mean = np.where(total >= 0, 1.0, -1.0) * np.floor(np.abs(mean) + 0.5 + 1e-9)
    shrunk[...] = np.where(mass > 0.0, mean, void)


def _overlaps(borders: Array, size: int) -> list[tuple[Array, Array]]:
    """For the first, second, ... pixel of each rectangle along an axis: its number, and the length inside."""
    first = (borders[:, 0] + 1e-9).astype(np.intp)
    end = np.minimum(np.ceil(borders[:, 1] - 1e-9).astype(np.intp), size)
    out = []
    for further in range(int((end - first).max(initial=0))):
        pixel = first + further
        length = np.minimum(borders[:, 1], pixel + 1.0) - np.maximum(borders[:, 0], pixel)
        out.append((np.minimum(pixel, size - 1), np.where(pixel < end, length, 0.0)))
    return out
