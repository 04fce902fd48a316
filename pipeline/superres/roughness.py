"""Local roughness of heights: mean squares of second differences over one and over two pixels."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import BoolArray, FloatArray

Array = npt.NDArray[np.float64]

_SPARSE_FROM_PX: Final = 4
"""Cells of this size and larger take every second row: enough for a mean, in half the time. Their size is even."""
_TAPS: Final = np.array([0.25, 0.5, 0.25])


def reach_px(cell_px: int) -> int:
    """Number of pixels around a pixel on which its roughness depends."""
    return 2 * cell_px + 2


def roughness(heights_m: FloatArray, origin_px: tuple[int, int], cell_px: int = 1) -> tuple[Array, Array, slice, slice]:
    """Mean squares of second differences by cell of a global lattice, weighted binomially over 3 x 3 cells.

    Differences with a void are skipped. Sums run in one order, so windows with `reach_px` of context agree bit for bit.

    Args:
        heights_m: float32, shape (rows, columns), metres; NaN is void.
        origin_px: Row and column of the first pixel on the global lattice.
        cell_px: Side of a cell.

    Returns:
        Over one and over two pixels, square metres, shape of the cells that the pixels touch (zero without any
        difference), and the rows and columns of the padded lattice that the pixels take.
    """
    before = origin_px[0] % cell_px, origin_px[1] % cell_px
    cells = tuple(-(-(first + size) // cell_px) for first, size in zip(before, heights_m.shape, strict=True))
    sums, counts = np.zeros((2, *cells)), np.zeros((2, *cells))
    _accumulate(heights_m, before[0], before[1], cell_px, sums, counts)
    one, two = (_binomial(sums[k]) / np.maximum(_binomial(counts[k]), 1e-12) for k in range(2))
    rows, columns = (slice(first, first + size) for first, size in zip(before, heights_m.shape, strict=True))
    return one, two, rows, columns


def around(values: Array, known: BoolArray) -> Array:
    """Means of known values, weighted binomially over `AROUND_PX` pixels on each side; zero without any."""
    weights = known.astype(np.float64)
    total = _binomial(_binomial(np.where(known, values, 0.0)))
    return np.asarray(total / np.maximum(_binomial(_binomial(weights)), 1e-12))


AROUND_PX: Final = 2
"""Reach of `around` in pixels."""


def slope_squared(heights_m: FloatArray, pixel_size_m: tuple[float, float]) -> Array:
    """Mean square of the slope around each pixel, from differences over two pixels; depends on `AROUND_PX` + 1 pixels.

    Args:
        heights_m: float32, shape (rows, columns), metres; NaN is void.
        pixel_size_m: Size of a pixel along columns and rows.
    """
    total = np.zeros(heights_m.shape)
    for axis, size_m in enumerate(reversed(pixel_size_m)):
        along = np.full(heights_m.shape, np.nan)
        inner = (slice(1, -1), slice(None)) if axis == 0 else (slice(None), slice(1, -1))
        after, before = (np.roll(heights_m, step, axis)[inner].astype(np.float64) for step in (-1, 1))
        along[inner] = np.square((after - before) / (2.0 * size_m))
        total += around(along, np.isfinite(along))
    return total


def _binomial(cells: Array) -> Array:
    rows = correlate1d(cells, _TAPS, axis=0, mode="constant")
    return np.asarray(correlate1d(rows, _TAPS, axis=1, mode="constant"))


@compiled
def _accumulate(
    heights: Any, row0: int, col0: int, cell: int, sums: Any, counts: Any
) -> None:  # pragma: no cover - compiled
    """Sum by cell, rows before columns; runs of pixels with all their differences are summed in registers."""
    rows, columns = heights.shape
    for i in range(rows):
        if cell >= _SPARSE_FROM_PX and (i + row0) % 2 == 1:
            continue
        r = (i + row0) // cell
        inner_row = 2 <= i < rows - 2
        for c in range(sums.shape[2]):
            first, end = max(c * cell - col0, 0), min((c + 1) * cell - col0, columns)
            whole = inner_row and first >= 2 and end <= columns - 2
            if whole:
                one, two = sums[0, r, c], sums[1, r, c]
                for j in range(first, end):
                    twice = 2.0 * heights[i, j]
                    d = heights[i - 1, j] - twice + heights[i + 1, j]
                    one += d * d
                    d = heights[i, j - 1] - twice + heights[i, j + 1]
                    one += d * d
                    d = heights[i - 2, j] - twice + heights[i + 2, j]
                    two += d * d
                    d = heights[i, j - 2] - twice + heights[i, j + 2]
                    two += d * d
                whole = not np.isnan(one + two)
                if whole:
                    sums[0, r, c], sums[1, r, c] = one, two
                    counts[0, r, c] += 2.0 * (end - first)
                    counts[1, r, c] += 2.0 * (end - first)
            if not whole:
                for j in range(first, end):
                    _accumulate_known(heights, i, j, sums[:, r, c], counts[:, r, c])


@compiled
def _accumulate_known(heights: Any, i: int, j: int, sums: Any, counts: Any) -> None:  # pragma: no cover - compiled
    """Add the differences at one pixel next to the window's rim or to voids."""
    rows, columns = heights.shape
    twice = 2.0 * heights[i, j]
    if np.isnan(twice):
        return
    for k in range(2):
        step = k + 1
        if step <= i < rows - step:
            d = heights[i - step, j] - twice + heights[i + step, j]
            if not np.isnan(d):
                sums[k] += d * d
                counts[k] += 1.0
        if step <= j < columns - step:
            d = heights[i, j - step] - twice + heights[i, j + step]
            if not np.isnan(d):
                sums[k] += d * d
                counts[k] += 1.0


def spread(cells: Array, rows: slice, columns: slice, cell_px: int) -> FloatArray:
    """Interpolate cells bilinearly to pixels at `rows` and `columns` of their lattice; float32."""
    if cell_px == 1:
        return cells.astype(np.float32)
    out = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
    _bilinear(np.ascontiguousarray(cells), rows.start, columns.start, cell_px, out)
    return out


@compiled
def _bilinear(cells: Any, row0: int, col0: int, cell: int, out: Any) -> None:  # pragma: no cover - compiled
    """Interpolate along columns once per row of cells, then along rows."""
    last_row, last_column = cells.shape[0] - 1, cells.shape[1] - 1
    width = out.shape[1]
    upper, lower = np.empty(width), np.empty(width)
    done = -2
    for i in range(out.shape[0]):
        y = (i + row0 + 0.5) / cell - 0.5
        top = int(np.floor(y))
        f = y - top
        if top != done:
            a, b = max(top, 0), min(top + 1, last_row)
            for j in range(width):
                x = (j + col0 + 0.5) / cell - 0.5
                left = int(np.floor(x))
                g = x - left
                c, d = max(left, 0), min(left + 1, last_column)
                upper[j] = cells[a, c] * (1.0 - g) + cells[a, d] * g
                lower[j] = cells[b, c] * (1.0 - g) + cells[b, d] * g
            done = top
        for j in range(width):
            out[i, j] = upper[j] * (1.0 - f) + lower[j] * f
