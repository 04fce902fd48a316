"""Compiled inner loops: sample a raster through a displacement field, gather normal equations, warp, mend voids.

Every kernel works on a band of rows, releases the interpreter lock and owns what it writes, so bands may run in threads
and the sums do not depend on how many there are. Compiled code is cached beside this file (or in `NUMBA_CACHE_DIR`).

Geometry is passed as twelve numbers, see `geometry_of` in `field.py`: where a pixel of the working grid lies in the
field's own grid and in the sampled raster, and how many pixels of that raster a metre is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[Any]

SUMS: Final = 13
"""Per block: six of the symmetric 3 x 3 normal matrix, three right-hand sides, weighted squares, weight, count, energy."""

TUKEY: Final = 4.685
"""Tukey's biweight constant: 95 % efficient for Gaussian noise."""


@njit(cache=True, nogil=True, inline="always")
def _tap_column(heights: Array, row: int, col: int) -> float:
    """Height with odd reflection beyond the left and right edges, which keeps slopes."""
    last = heights.shape[1] - 1
    if col < 0:
        return 2.0 * heights[row, 0] - heights[row, min(-col, last)]
    if col > last:
        return 2.0 * heights[row, last] - heights[row, max(2 * last - col, 0)]
    return heights[row, col]


@njit(cache=True, nogil=True, inline="always")
def _tap(heights: Array, row: int, col: int) -> float:
    """Height with odd reflection beyond all edges."""
    last = heights.shape[0] - 1
    if row < 0:
        return 2.0 * _tap_column(heights, 0, col) - _tap_column(heights, min(-row, last), col)
    if row > last:
        return 2.0 * _tap_column(heights, last, col) - _tap_column(heights, max(2 * last - row, 0), col)
    return _tap_column(heights, row, col)


@njit(cache=True, nogil=True)
def _cubic(heights: Array, y: float, x: float) -> tuple[float, float, float]:
    """Keys' cubic convolution: height and its derivatives along columns and rows, per pixel."""
    row, col = int(np.floor(y)), int(np.floor(x))
    s, t = y - row, x - col
    wx0, wx1 = t * (-0.5 + t * (1.0 - 0.5 * t)), 1.0 + t * t * (-2.5 + 1.5 * t)
    wx2, wx3 = t * (0.5 + t * (2.0 - 1.5 * t)), t * t * (-0.5 + 0.5 * t)
    dx0, dx1 = -0.5 + t * (2.0 - 1.5 * t), t * (-5.0 + 4.5 * t)
    dx2, dx3 = 0.5 + t * (4.0 - 4.5 * t), t * (-1.0 + 1.5 * t)
    inside = row >= 1 and col >= 1 and row + 2 < heights.shape[0] and col + 2 < heights.shape[1]
    value = along_x = along_y = 0.0
    for k in range(4):
        if inside:
            a, b = heights[row - 1 + k, col - 1], heights[row - 1 + k, col]
            c, d = heights[row - 1 + k, col + 1], heights[row - 1 + k, col + 2]
        else:
            a, b = _tap(heights, row - 1 + k, col - 1), _tap(heights, row - 1 + k, col)
            c, d = _tap(heights, row - 1 + k, col + 1), _tap(heights, row - 1 + k, col + 2)
        line = wx0 * a + wx1 * b + wx2 * c + wx3 * d
        if k == 0:
            wy, dy = s * (-0.5 + s * (1.0 - 0.5 * s)), -0.5 + s * (2.0 - 1.5 * s)
        elif k == 1:
            wy, dy = 1.0 + s * s * (-2.5 + 1.5 * s), s * (-5.0 + 4.5 * s)
        elif k == 2:
            wy, dy = s * (0.5 + s * (2.0 - 1.5 * s)), 0.5 + s * (4.0 - 4.5 * s)
        else:
            wy, dy = s * s * (-0.5 + 0.5 * s), s * (-1.0 + 1.5 * s)
        value += wy * line
        along_y += dy * line
        along_x += wy * (dx0 * a + dx1 * b + dx2 * c + dx3 * d)
    return value, along_x, along_y


@njit(cache=True, nogil=True)
def _row_of_field(polynomial: Array, lattice: Array, v: float, fy: float, quadratics: Array, nodes: Array) -> None:
    """What of the field does not change along a row: quadratics in u, and the lattice interpolated between its rows."""
    rows, cols = lattice.shape[1], lattice.shape[2]
    for k in range(3):
        p = polynomial[k]
        quadratics[k, 0] = p[0] + v * (p[2] + v * p[5])
        quadratics[k, 1] = p[1] + v * p[4]
        quadratics[k, 2] = p[3]
    if rows == 0:
        return
    fy = min(max(fy, -0.5), rows - 0.5)
    j = min(max(int(np.floor(fy)), 0), max(rows - 2, 0))
    t = fy - j if rows > 1 else 0.0
    below = min(j + 1, rows - 1)
    for k in range(3):
        for i in range(cols):
            nodes[k, i] = (1.0 - t) * lattice[k, j, i] + t * lattice[k, below, i]


@njit(cache=True, nogil=True, inline="always")
def _field_at(quadratics: Array, nodes: Array, cols: int, u: float, fx: float) -> tuple[float, float, float]:
    """East, north and up displacement (metres) at one place of the prepared row."""
    east = quadratics[0, 0] + u * (quadratics[0, 1] + u * quadratics[0, 2])
    north = quadratics[1, 0] + u * (quadratics[1, 1] + u * quadratics[1, 2])
    up = quadratics[2, 0] + u * (quadratics[2, 1] + u * quadratics[2, 2])
    if cols:
        fx = min(max(fx, -0.5), cols - 0.5)
        i = min(max(int(np.floor(fx)), 0), max(cols - 2, 0))
        t = fx - i if cols > 1 else 0.0
        right = min(i + 1, cols - 1)
        east += (1.0 - t) * nodes[0, i] + t * nodes[0, right]
        north += (1.0 - t) * nodes[1, i] + t * nodes[1, right]
        up += (1.0 - t) * nodes[2, i] + t * nodes[2, right]
    return east, north, up


@njit(cache=True, nogil=True)
def accumulate(
    reference: Array,
    moving: Array,
    mended: Array,
    inliers: Array,
    geometry: Array,
    polynomial: Array,
    lattice: Array,
    scale: Array,
    gate: float,
    step: int,
    row_edges: Array,
    col_edges: Array,
    first: int,
    last: int,
    sums: Array,
) -> None:
    """Gather robustly weighted normal equations of blocks `first` to `last` (rows of blocks) into `sums`.

    The residual is reference - (moving, displaced) - up; its derivatives along east, north and up displacement are the
    columns. `scale` is the noise (metres) on flat ground and what it gains per unit of slope.
    """
    ay, by, ax, bx, ty0, ty1, tx0, tx1, per_x, per_y, height, width = geometry
    rows, cols = moving.shape
    node_rows, node_cols = lattice.shape[1], lattice.shape[2]
    quadratics, nodes = np.zeros((3, 3)), np.zeros((3, max(node_cols, 1)))
    local = np.zeros(SUMS)
    for block_row in range(first, last):
        sums[block_row] = 0.0
        start = row_edges[block_row]
        start += (-start) % step
        for r in range(start, row_edges[block_row + 1], step):
            y = ay + by * r
            _row_of_field(
                polynomial,
                lattice,
                (y + 0.5) * 2.0 / height - 1.0,
                (y + 0.5) * node_rows / height - 0.5,
                quadratics,
                nodes,
            )
            for block_col in range(col_edges.size - 1):
                local[:] = 0.0
                begin = col_edges[block_col]
                begin += (-begin) % step
                for c in range(begin, col_edges[block_col + 1], step):
                    target = reference[r, c]
                    if not (inliers[r, c] and np.isfinite(target)):
                        continue
                    x = ax + bx * c
                    u, fx = (x + 0.5) * 2.0 / width - 1.0, (x + 0.5) * node_cols / width - 0.5
                    east, north, up = _field_at(quadratics, nodes, node_cols, u, fx)
                    sample_y, sample_x = ty0 + ty1 * r + north * per_y, tx0 + tx1 * c - east * per_x
                    if not (1.0 <= sample_y < rows - 2 and 1.0 <= sample_x < cols - 2):
                        continue
                    if not np.isfinite(moving[int(sample_y + 0.5), int(sample_x + 0.5)]):
                        continue
                    value, along_x, along_y = _cubic(mended, sample_y, sample_x)
                    residual = target - value - up
                    ge, gn = -along_x * per_x, along_y * per_y
                    sigma = scale[0] + scale[1] * np.sqrt(ge * ge + gn * gn)
                    q = residual / (gate * sigma)
                    q *= q
                    if not q < 1.0:
                        continue
                    w = (1.0 - q) * (1.0 - q) / (sigma * sigma)
                    local[0] += w * ge * ge
                    local[1] += w * ge * gn
                    local[2] += w * ge
                    local[3] += w * gn * gn
                    local[4] += w * gn
                    local[5] += w
                    local[6] += w * ge * residual
                    local[7] += w * gn * residual
                    local[8] += w * residual
                    local[9] += w * residual * residual
                    local[10] += ge * ge + gn * gn
                    local[11] += 1.0
                    local[12] += residual * residual
                for k in range(SUMS):
                    sums[block_row, block_col, k] += local[k]


@njit(cache=True, nogil=True)
def residuals(
    reference: Array,
    moving: Array,
    mended: Array,
    inliers: Array,
    geometry: Array,
    polynomial: Array,
    lattice: Array,
    step: int,
    first: int,
    last: int,
    out: Array,
    slope: Array,
) -> None:
    """Residuals (metres) and slopes (unitless) of every `step`-th pixel; NaN where one of the rasters has none.

    `first` and `last` are rows of the thinned grid; `out` and `slope` are float32 of the thinned shape.
    """
    ay, by, ax, bx, ty0, ty1, tx0, tx1, per_x, per_y, height, width = geometry
    rows, cols = moving.shape
    node_rows, node_cols = lattice.shape[1], lattice.shape[2]
    quadratics, nodes = np.zeros((3, 3)), np.zeros((3, max(node_cols, 1)))
    for i in range(first, last):
        r = i * step
        y = ay + by * r
        v, fy = (y + 0.5) * 2.0 / height - 1.0, (y + 0.5) * node_rows / height - 0.5
        _row_of_field(polynomial, lattice, v, fy, quadratics, nodes)
        for j in range(out.shape[1]):
            c = j * step
            out[i, j] = np.nan
            slope[i, j] = np.nan
            target = reference[r, c]
            if not (inliers[r, c] and np.isfinite(target)):
                continue
            x = ax + bx * c
            u, fx = (x + 0.5) * 2.0 / width - 1.0, (x + 0.5) * node_cols / width - 0.5
            east, north, up = _field_at(quadratics, nodes, node_cols, u, fx)
            sample_y, sample_x = ty0 + ty1 * r + north * per_y, tx0 + tx1 * c - east * per_x
            if not (1.0 <= sample_y < rows - 2 and 1.0 <= sample_x < cols - 2):
                continue
            if not np.isfinite(moving[int(sample_y + 0.5), int(sample_x + 0.5)]):
                continue
            value, along_x, along_y = _cubic(mended, sample_y, sample_x)
            out[i, j] = target - value - up
            slope[i, j] = np.sqrt((along_x * per_x) ** 2 + (along_y * per_y) ** 2)


@njit(cache=True, nogil=True)
def warp(
    moving: Array,
    mended: Array,
    geometry: Array,
    polynomial: Array,
    lattice: Array,
    first: int,
    last: int,
    out: Array,
) -> None:
    """Write rows `first` to `last` of the displaced raster; void exactly where the nearest sampled pixel is void."""
    ay, by, ax, bx, ty0, ty1, tx0, tx1, per_x, per_y, height, width = geometry
    rows, cols = moving.shape
    node_rows, node_cols = lattice.shape[1], lattice.shape[2]
    quadratics, nodes = np.zeros((3, 3)), np.zeros((3, max(node_cols, 1)))
    for r in range(first, last):
        y = ay + by * r
        v, fy = (y + 0.5) * 2.0 / height - 1.0, (y + 0.5) * node_rows / height - 0.5
        _row_of_field(polynomial, lattice, v, fy, quadratics, nodes)
        for c in range(out.shape[1]):
            x = ax + bx * c
            u, fx = (x + 0.5) * 2.0 / width - 1.0, (x + 0.5) * node_cols / width - 0.5
            east, north, up = _field_at(quadratics, nodes, node_cols, u, fx)
            sample_y, sample_x = ty0 + ty1 * r + north * per_y, tx0 + tx1 * c - east * per_x
            near_y, near_x = int(np.floor(sample_y + 0.5)), int(np.floor(sample_x + 0.5))
            out[r, c] = np.nan
            if 0 <= near_y < rows and 0 <= near_x < cols and np.isfinite(moving[near_y, near_x]):
                value, _, _ = _cubic(mended, sample_y, sample_x)
                out[r, c] = value + up


@njit(cache=True, nogil=True)
def evaluate(geometry: Array, polynomial: Array, lattice: Array, first: int, last: int, out: Array) -> None:
    """Write rows of the field itself (3 x rows x columns, metres)."""
    ay, by, ax, bx = geometry[0], geometry[1], geometry[2], geometry[3]
    height, width = geometry[10], geometry[11]
    node_rows, node_cols = lattice.shape[1], lattice.shape[2]
    quadratics, nodes = np.zeros((3, 3)), np.zeros((3, max(node_cols, 1)))
    for r in range(first, last):
        y = ay + by * r
        v, fy = (y + 0.5) * 2.0 / height - 1.0, (y + 0.5) * node_rows / height - 0.5
        _row_of_field(polynomial, lattice, v, fy, quadratics, nodes)
        for c in range(out.shape[2]):
            x = ax + bx * c
            u, fx = (x + 0.5) * 2.0 / width - 1.0, (x + 0.5) * node_cols / width - 0.5
            out[0, r, c], out[1, r, c], out[2, r, c] = _field_at(quadratics, nodes, node_cols, u, fx)
