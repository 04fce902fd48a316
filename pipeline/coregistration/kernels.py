"""Compiled inner loops: sample a raster through a displacement field, gather normal equations, warp.

Every kernel works on a band of rows, releases the interpreter lock and owns what it writes, so bands may run in threads
and the sums do not depend on how many there are. Compiled code is cached beside this file (or in `NUMBA_CACHE_DIR`).

Whole numbers handed on are `np.int64`: numba would compile a function again for each literal.

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
"""Per block: six of the symmetric 3 x 3 normal matrix, three right-hand sides, weighted squares, slopes, count, squares."""

TUKEY: Final = 4.685
"""Tukey's biweight constant: 95 % efficient for Gaussian noise."""

_MATH: Final = {"contract", "nsz"}


@njit(cache=True, nogil=True, error_model="numpy")
def _tap_column(heights: Array, row: Any, col: int) -> float:
    """Height with odd reflection beyond the left and right edges, which keeps slopes."""
    last = heights.shape[1] - 1
    if col < 0:
        return 2.0 * heights[row, 0] - heights[row, min(-col, last)]
    if col > last:
        return 2.0 * heights[row, last] - heights[row, max(2 * last - col, 0)]
    return float(heights[row, col])


@njit(cache=True, nogil=True, error_model="numpy")
def _tap(heights: Array, row: int, col: int) -> float:
    """Height with odd reflection beyond all edges."""
    last = heights.shape[0] - 1
    if row < 0:
        return 2.0 * _tap_column(heights, np.int64(0), col) - _tap_column(heights, min(-row, last), col)
    if row > last:
        return 2.0 * _tap_column(heights, last, col) - _tap_column(heights, max(2 * last - row, 0), col)
    return _tap_column(heights, row, col)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def _weights(t: float) -> tuple[float, float, float, float]:
    """Keys' cubic convolution weights (a = -1/2) at a fraction of a pixel."""
    return (
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def _derivatives(t: float) -> tuple[float, float, float, float]:
    """Derivatives of the weights by the fraction."""
    return (
        -0.5 + t * (2.0 - 1.5 * t),
        t * (-5.0 + 4.5 * t),
        0.5 + t * (4.0 - 4.5 * t),
        t * (-1.0 + 1.5 * t),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _cubic_at_edge(heights: Array, y: float, x: float) -> float:
    """Height where the kernel reaches beyond the raster."""
    row, col = int(np.floor(y)), int(np.floor(x))
    by_row, by_col = _weights(y - row), _weights(x - col)
    value = 0.0
    for i in range(4):
        for j in range(4):
            value += by_row[i] * by_col[j] * _tap(heights, row - 1 + i, col - 1 + j)
    return value


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def _cubic(flat: Array, row: int, col: int, width: int, s: float, t: float) -> float:
    """Height inside, from the raster laid out flat."""
    w0, w1, w2, w3 = _weights(t)
    v0, v1, v2, v3 = _weights(s)
    i = np.uint64((row - 1) * width + col - 1)
    j, k, m = i + np.uint64(width), i + np.uint64(2 * width), i + np.uint64(3 * width)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    return (
        v0 * (w0 * flat[i] + w1 * flat[i + one] + w2 * flat[i + two] + w3 * flat[i + three])
        + v1 * (w0 * flat[j] + w1 * flat[j + one] + w2 * flat[j + two] + w3 * flat[j + three])
        + v2 * (w0 * flat[k] + w1 * flat[k + one] + w2 * flat[k + two] + w3 * flat[k + three])
        + v3 * (w0 * flat[m] + w1 * flat[m + one] + w2 * flat[m + two] + w3 * flat[m + three])
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def _cubic_with_slopes(flat: Array, row: int, col: int, width: int, s: float, t: float) -> tuple[float, float, float]:
    """Height inside and its derivatives along columns and rows, per pixel."""
    w0, w1, w2, w3 = _weights(t)
    d0, d1, d2, d3 = _derivatives(t)
    v0, v1, v2, v3 = _weights(s)
    e0, e1, e2, e3 = _derivatives(s)
    i = np.uint64((row - 1) * width + col - 1)
    j, k, m = i + np.uint64(width), i + np.uint64(2 * width), i + np.uint64(3 * width)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    a0, a1, a2, a3 = flat[i], flat[i + one], flat[i + two], flat[i + three]
    b0, b1, b2, b3 = flat[j], flat[j + one], flat[j + two], flat[j + three]
    c0, c1, c2, c3 = flat[k], flat[k + one], flat[k + two], flat[k + three]
    f0, f1, f2, f3 = flat[m], flat[m + one], flat[m + two], flat[m + three]
    la, lb = w0 * a0 + w1 * a1 + w2 * a2 + w3 * a3, w0 * b0 + w1 * b1 + w2 * b2 + w3 * b3
    lc, lf = w0 * c0 + w1 * c1 + w2 * c2 + w3 * c3, w0 * f0 + w1 * f1 + w2 * f2 + w3 * f3
    sa, sb = d0 * a0 + d1 * a1 + d2 * a2 + d3 * a3, d0 * b0 + d1 * b1 + d2 * b2 + d3 * b3
    sc, sf = d0 * c0 + d1 * c1 + d2 * c2 + d3 * c3, d0 * f0 + d1 * f1 + d2 * f2 + d3 * f3
    return (
        v0 * la + v1 * lb + v2 * lc + v3 * lf,
        v0 * sa + v1 * sb + v2 * sc + v3 * sf,
        e0 * la + e1 * lb + e2 * lc + e3 * lf,
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def _spline_weights(t: float) -> tuple[float, float, float, float]:
    """Cubic B-spline weights of four coefficients at a fraction of a pixel."""
    s = 1.0 - t
    return (
        s * s * s / 6.0,
        (4.0 + t * t * (3.0 * t - 6.0)) / 6.0,
        (4.0 + s * s * (3.0 * s - 6.0)) / 6.0,
        t * t * t / 6.0,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _spline_at_edge(coefficients: Array, y: float, x: float) -> float:
    """The spline where it reaches beyond the raster."""
    row, col = int(np.floor(y)), int(np.floor(x))
    by_row, by_col = _spline_weights(y - row), _spline_weights(x - col)
    value = 0.0
    for i in range(4):
        for j in range(4):
            value += by_row[i] * by_col[j] * _tap(coefficients, row - 1 + i, col - 1 + j)
    return value


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def _spline(flat: Array, row: int, col: int, width: int, s: float, t: float) -> float:
    """The spline inside, from coefficients laid out flat."""
    w0, w1, w2, w3 = _spline_weights(t)
    v0, v1, v2, v3 = _spline_weights(s)
    i = np.uint64((row - 1) * width + col - 1)
    j, k, m = i + np.uint64(width), i + np.uint64(2 * width), i + np.uint64(3 * width)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    return (
        v0 * (w0 * flat[i] + w1 * flat[i + one] + w2 * flat[i + two] + w3 * flat[i + three])
        + v1 * (w0 * flat[j] + w1 * flat[j + one] + w2 * flat[j + two] + w3 * flat[j + three])
        + v2 * (w0 * flat[k] + w1 * flat[k + one] + w2 * flat[k + two] + w3 * flat[k + three])
        + v3 * (w0 * flat[m] + w1 * flat[m + one] + w2 * flat[m + two] + w3 * flat[m + three])
    )


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def _field_along_row(
    geometry: Array, polynomial: Array, lattice: Array, row: int, step: Any, nodes: Array, field: Array
) -> None:
    """East, north and up displacement (metres) at every `step`-th pixel of a row, into `field` (3 x columns)."""
    ay, by, ax, bx = geometry[0], geometry[1], geometry[2], geometry[3]
    height, width = geometry[10], geometry[11]
    y = ay + by * row
    v = (y + 0.5) * 2.0 / height - 1.0
    rows, cols = lattice.shape[1], lattice.shape[2]
    fy = min(max((y + 0.5) * rows / height - 0.5, -0.5), rows - 0.5)
    above = min(max(int(np.floor(fy)), 0), max(rows - 2, 0))
    t = fy - above if rows > 1 else 0.0
    below = min(above + 1, rows - 1)
    first_u, step_u = (ax + 0.5) * 2.0 / width - 1.0, bx * step * 2.0 / width
    first_x, step_x = (ax + 0.5) * cols / width - 0.5, bx * step * cols / width
    for k in range(3):
        p = polynomial[k]
        q0, q1, q2 = p[0] + v * (p[2] + v * p[5]), p[1] + v * p[4], p[3]
        out = field[k]
        for c in range(out.size):
            u = first_u + step_u * c
            out[c] = q0 + u * (q1 + u * q2)
        if rows == 0:
            continue
        for i in range(cols):
            nodes[i] = (1.0 - t) * lattice[k, above, i] + t * lattice[k, below, i]
        for c in range(out.size):
            fx = min(max(first_x + step_x * c, -0.5), cols - 0.5)
            i = min(max(int(np.floor(fx)), 0), max(cols - 2, 0))
            out[c] += nodes[i] + (fx - i) * (nodes[min(i + 1, cols - 1)] - nodes[i])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def accumulate(  # noqa: PLR0915 - one fused loop over scalars is what makes it fast
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
    ty0, ty1, tx0, tx1, per_x, per_y = geometry[4:10]
    rows, cols = moving.shape
    flat, truth = mended.ravel(), moving.ravel()
    nodes, field = np.zeros(max(lattice.shape[2], 1)), np.zeros((3, (reference.shape[1] + step - 1) // step))
    flat_noise, slope_noise = scale[0], scale[1]
    for block_row in range(first, last):
        sums[block_row] = 0.0
        start = row_edges[block_row]
        start += (-start) % step
        for r in range(start, row_edges[block_row + 1], step):
            _field_along_row(geometry, polynomial, lattice, r, step, nodes, field)
            for block_col in range(col_edges.size - 1):
                aee = aen = aeu = ann = anu = auu = be = bn = bu = squares = slopes = count = plain = 0.0
                begin = col_edges[block_col]
                begin += (-begin) % step
                for c in range(begin, col_edges[block_col + 1], step):
                    target = reference[r, c]
                    if not inliers[r, c] or np.isnan(target):
                        continue
                    k = c // step
                    y, x = ty0 + ty1 * r + field[1, k] * per_y, tx0 + tx1 * c - field[0, k] * per_x
                    if not (y >= 1.0 and x >= 1.0 and y < rows - 2 and x < cols - 2):
                        continue
                    near = truth[np.uint64(int(y + 0.5) * cols + int(x + 0.5))]
                    if np.isnan(near):
                        continue
                    row, col = int(y), int(x)
                    value, along_x, along_y = _cubic_with_slopes(flat, row, col, cols, y - row, x - col)
                    residual = target - value - field[2, k]
                    ge, gn = -along_x * per_x, along_y * per_y
                    steep = ge * ge + gn * gn
                    sigma = flat_noise + slope_noise * np.sqrt(steep)
                    precision = 1.0 / (sigma * sigma)
                    q = 1.0 - residual * residual * precision / (gate * gate)
                    if not q > 0.0:
                        continue
                    w = q * q * precision
                    we, wn, wr = w * ge, w * gn, w * residual
                    aee += we * ge
                    aen += we * gn
                    aeu += we
                    ann += wn * gn
                    anu += wn
                    auu += w
                    be += we * residual
                    bn += wn * residual
                    bu += wr
                    squares += wr * residual
                    slopes += steep
                    count += 1.0
                    plain += residual * residual
                total = sums[block_row, block_col]
                total[0] += aee
                total[1] += aen
                total[2] += aeu
                total[3] += ann
                total[4] += anu
                total[5] += auu
                total[6] += be
                total[7] += bn
                total[8] += bu
                total[9] += squares
                total[10] += slopes
                total[11] += count
                total[12] += plain


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
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
    ty0, ty1, tx0, tx1, per_x, per_y = geometry[4:10]
    rows, cols = moving.shape
    flat = mended.ravel()
    nodes, field = np.zeros(max(lattice.shape[2], 1)), np.zeros((3, out.shape[1]))
    for i in range(first, last):
        r = i * step
        _field_along_row(geometry, polynomial, lattice, r, step, nodes, field)
        for j in range(out.shape[1]):
            c = j * step
            out[i, j] = np.nan
            slope[i, j] = np.nan
            target = reference[r, c]
            if not inliers[r, c] or np.isnan(target):
                continue
            y, x = ty0 + ty1 * r + field[1, j] * per_y, tx0 + tx1 * c - field[0, j] * per_x
            if not (y >= 1.0 and x >= 1.0 and y < rows - 2 and x < cols - 2):
                continue
            near = moving[int(y + 0.5), int(x + 0.5)]
            if np.isnan(near):
                continue
            row, col = int(y), int(x)
            value, along_x, along_y = _cubic_with_slopes(flat, row, col, cols, y - row, x - col)
            out[i, j] = target - value - field[2, j]
            slope[i, j] = np.sqrt((along_x * per_x) ** 2 + (along_y * per_y) ** 2)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def warp(
    moving: Array,
    coefficients: Array,
    geometry: Array,
    polynomial: Array,
    lattice: Array,
    first: int,
    last: int,
    out: Array,
) -> None:
    """Write rows `first` to `last` of the displaced raster; void exactly where the nearest sampled pixel is void.

    `coefficients` are those of the interpolating cubic spline of `moving`, mended.
    """
    ty0, ty1, tx0, tx1, per_x, per_y = geometry[4:10]
    rows, cols = moving.shape
    flat, truth = coefficients.ravel(), moving.ravel()
    nodes, field = np.zeros(max(lattice.shape[2], 1)), np.zeros((3, out.shape[1]))
    for r in range(first, last):
        _field_along_row(geometry, polynomial, lattice, r, np.int64(1), nodes, field)
        for c in range(out.shape[1]):
            y, x = ty0 + ty1 * r + field[1, c] * per_y, tx0 + tx1 * c - field[0, c] * per_x
            if y >= 1.0 and x >= 1.0 and y < rows - 2 and x < cols - 2:
                row, col = int(y), int(x)
                near = truth[np.uint64(int(y + 0.5) * cols + int(x + 0.5))]
                value = _spline(flat, row, col, cols, y - row, x - col)
                out[r, c] = np.nan if np.isnan(near) else value + field[2, c]
            elif y >= -0.5 and x >= -0.5 and y < rows - 0.5 and x < cols - 0.5:
                near = moving[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]
                out[r, c] = np.nan if np.isnan(near) else _spline_at_edge(coefficients, y, x) + field[2, c]
            else:
                out[r, c] = np.nan


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def evaluate(geometry: Array, polynomial: Array, lattice: Array, first: int, last: int, out: Array) -> None:
    """Write rows of the field itself (3 x rows x columns, metres)."""
    nodes, field = np.zeros(max(lattice.shape[2], 1)), np.zeros((3, out.shape[2]))
    for r in range(first, last):
        _field_along_row(geometry, polynomial, lattice, r, np.int64(1), nodes, field)
        for k in range(3):
            for c in range(out.shape[2]):
                out[k, r, c] = field[k, c]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def north_range(
    geometry: Array, polynomial: Array, lattice: Array, first: int, last: int, cols: int
) -> tuple[float, float]:
    """Smallest and largest north displacement (metres) in rows `first` to `last`, of every eighth pixel."""
    step = np.int64(8)
    nodes, field = np.zeros(max(lattice.shape[2], 1)), np.zeros((3, (cols + step - 1) // step))
    low, high = np.inf, -np.inf
    for k in range(first, last + step, step):
        _field_along_row(geometry, polynomial, lattice, min(k, last - 1), step, nodes, field)
        for c in range(field.shape[1]):
            low, high = min(low, field[1, c]), max(high, field[1, c])
    return low, high


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_MATH)
def resample(moving: Array, mended: Array, nodes: Array, spacing: int, first: int, last: int, out: Array) -> None:
    """Write rows read through a lattice of sample places: `nodes` (2, rows, columns) are row and column of the raster.

    A node lies at every `spacing`-th pixel of the output; places between are bilinear.
    """
    rows, cols = moving.shape
    flat = mended.ravel()
    for r in range(first, last):
        i = min(r // spacing, nodes.shape[1] - 2)
        s = (r - i * spacing) / spacing
        for c in range(out.shape[1]):
            j = min(c // spacing, nodes.shape[2] - 2)
            t = (c - j * spacing) / spacing
            a, b, d, e = (1 - s) * (1 - t), (1 - s) * t, s * (1 - t), s * t
            y = a * nodes[0, i, j] + b * nodes[0, i, j + 1] + d * nodes[0, i + 1, j] + e * nodes[0, i + 1, j + 1]
            x = a * nodes[1, i, j] + b * nodes[1, i, j + 1] + d * nodes[1, i + 1, j] + e * nodes[1, i + 1, j + 1]
            out[r, c] = np.nan
            if not (y >= -0.5 and x >= -0.5 and y < rows - 0.5 and x < cols - 0.5):
                continue
            if np.isnan(moving[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]):
                continue
            if y >= 1.0 and x >= 1.0 and y < rows - 2 and x < cols - 2:
                row, col = int(y), int(x)
                out[r, c] = _cubic(flat, row, col, cols, y - row, x - col)
            else:
                out[r, c] = _cubic_at_edge(mended, y, x)
