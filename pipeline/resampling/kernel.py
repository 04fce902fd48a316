"""Interpolates heights by cubic convolution through a lattice of coordinates; handles voids.

The position of a target pixel in the source is interpolated from lattice nodes of EPSG:3035
(`orograph.pipeline.resampling.node_grid`); the shift of coregistration is already in those nodes and the vertical
delta is added in the same pass. Every quantity is computed from global indices, never from the window at hand, so
windows and tiles agree bit for bit where they overlap.

The kernel is Keys' cubic convolution with a = -0.5 (Keys 1981, IEEE TASSP 29), which GDAL's `cubic` uses too; it is
widened where the source is finer than the target. Voids never grow: a target pixel is valid exactly when the source
pixel nearest to it is (or, when the kernel is widened, when half of its weight is). Next to voids, where the negative
lobes would be cut unevenly, the weights are the positive ones of a linear kernel.
"""

from __future__ import annotations

import math

import numba
import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import FloatArray

Float64Array = npt.NDArray[np.float64]


@numba.njit(cache=True, inline="always")
def _keys(t: float) -> float:
    t = abs(t)
    if t < 1.0:
        return (1.5 * t - 2.5) * t * t + 1.0
    if t < 2.0:
        return ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0
    return 0.0


@numba.njit(cache=True)
def _near_void(source: FloatArray, v: float, u: float, scale_y: float, scale_x: float, needed: float) -> float:
    """Linear weights over valid pixels only; NaN unless `needed` of the weight is valid."""
    rows, cols = source.shape
    total = 0.0
    valid = 0.0
    acc = 0.0
    for i in range(math.ceil(v - scale_y), math.floor(v + scale_y) + 1):
        wy = max(0.0, 1.0 - abs(i - v) / scale_y)
        for j in range(math.ceil(u - scale_x), math.floor(u + scale_x) + 1):
            w = wy * max(0.0, 1.0 - abs(j - u) / scale_x)
            total += w
            if 0 <= i < rows and 0 <= j < cols:
                value = source[i, j]
                if not math.isnan(value):
                    valid += w
                    acc += w * value
    if valid <= 0.0 or valid < needed * total:
        return math.nan
    return acc / valid


@numba.njit(cache=True)
def _cubic_at(source: FloatArray, v: float, u: float) -> float:
    """Cubic convolution at a fractional index; pixel centres are at whole numbers."""
    rows, cols = source.shape
    i_near, j_near = math.floor(v + 0.5), math.floor(u + 0.5)
    if not (0 <= i_near < rows and 0 <= j_near < cols) or math.isnan(source[i_near, j_near]):
        return math.nan
    i, j = math.floor(v), math.floor(u)
    if 1 <= i < rows - 2 and 1 <= j < cols - 2:
        f, g = v - i, u - j
        # Keys' four weights in Horner form, for the fraction f along rows and g along columns.
        wx0, wx1 = ((-0.5 * g + 1.0) * g - 0.5) * g, (1.5 * g - 2.5) * g * g + 1.0
        wx2, wx3 = ((-1.5 * g + 2.0) * g + 0.5) * g, (0.5 * g - 0.5) * g * g
        wy0, wy1 = ((-0.5 * f + 1.0) * f - 0.5) * f, (1.5 * f - 2.5) * f * f + 1.0
        wy2, wy3 = ((-1.5 * f + 2.0) * f + 0.5) * f, (0.5 * f - 0.5) * f * f
        a, b, c, d = source[i - 1], source[i], source[i + 1], source[i + 2]
        acc = wy0 * (wx0 * a[j - 1] + wx1 * a[j] + wx2 * a[j + 1] + wx3 * a[j + 2])
        acc += wy1 * (wx0 * b[j - 1] + wx1 * b[j] + wx2 * b[j + 1] + wx3 * b[j + 2])
        acc += wy2 * (wx0 * c[j - 1] + wx1 * c[j] + wx2 * c[j + 1] + wx3 * c[j + 2])
        acc += wy3 * (wx0 * d[j - 1] + wx1 * d[j] + wx2 * d[j + 1] + wx3 * d[j + 2])
        if not math.isnan(acc):
            return acc
    return _near_void(source, v, u, 1.0, 1.0, 0.0)


@numba.njit(cache=True, nogil=True)
def cubic_mesh(source: FloatArray, rows: Float64Array, cols: Float64Array) -> FloatArray:
    """Heights at the crossings of fractional rows and columns, by cubic convolution.

    Along an axis whose index is whole only the other axis is interpolated, so that a row at the rim of the source is as
    good as one inside.

    Args:
        source: float32 heights, NaN void.
        rows: float64 row indices; pixel centres are at whole numbers.
        cols: The same for columns.

    Returns:
        float32, shape (rows, columns), NaN where the nearest sample is void.
    """
    out = np.empty((rows.size, cols.size), np.float32)
    for r in range(rows.size):
        v = rows[r]
        i = math.floor(v)
        for c in range(cols.size):
            u = cols[c]
            j = math.floor(u)
            if v == i and 0 <= i < source.shape[0] and 1 <= j < source.shape[1] - 2:
                g = u - j
                value = (
                    ((-0.5 * g + 1.0) * g - 0.5) * g * source[i, j - 1]
                    + ((1.5 * g - 2.5) * g * g + 1.0) * source[i, j]
                    + ((-1.5 * g + 2.0) * g + 0.5) * g * source[i, j + 1]
                    + (0.5 * g - 0.5) * g * g * source[i, j + 2]
                )
                out[r, c] = value if not math.isnan(value) else _cubic_at(source, v, u)
            else:
                out[r, c] = _cubic_at(source, v, u)
    return out


@numba.njit(cache=True)
def _wide_cubic_at(
    source: FloatArray, v: float, u: float, scale_y: float, scale_x: float, wy: Float64Array, wx: Float64Array
) -> float:
    """The same kernel, widened to act as an anti-aliasing filter when the source is finer than the target."""
    rows, cols = source.shape
    i0, i1 = math.ceil(v - 2.0 * scale_y), math.floor(v + 2.0 * scale_y)
    j0, j1 = math.ceil(u - 2.0 * scale_x), math.floor(u + 2.0 * scale_x)
    if i1 < 0 or j1 < 0 or i0 >= rows or j0 >= cols:
        return math.nan
    if i0 >= 0 and j0 >= 0 and i1 < rows and j1 < cols:
        sum_y = 0.0
        for i in range(i0, i1 + 1):
            wy[i - i0] = _keys((i - v) / scale_y)
            sum_y += wy[i - i0]
        sum_x = 0.0
        for j in range(j0, j1 + 1):
            wx[j - j0] = _keys((j - u) / scale_x)
            sum_x += wx[j - j0]
        acc = 0.0
        for i in range(i0, i1 + 1):
            line = 0.0
            for j in range(j0, j1 + 1):
                line += wx[j - j0] * source[i, j]
            acc += wy[i - i0] * line
        if not math.isnan(acc):
            return acc / (sum_y * sum_x)
    return _near_void(source, v, u, scale_y, scale_x, 0.5)


@numba.njit(cache=True)
def _inside_run(source: FloatArray, vs: Float64Array, us: Float64Array) -> tuple[int, int]:
    """Start and end of the first run of positions whose 16 samples are inside."""
    rows, cols = source.shape
    start = 0
    while start < vs.size and not (1.0 <= vs[start] < rows - 2 and 1.0 <= us[start] < cols - 2):
        start += 1
    end = start
    while end < vs.size and 1.0 <= vs[end] < rows - 2 and 1.0 <= us[end] < cols - 2:
        end += 1
    return start, end


@numba.njit(cache=True)
def _cubic_line(source: FloatArray, vs: Float64Array, us: Float64Array, deltas: Float64Array, out: FloatArray) -> None:
    """Cubic convolution plus delta at positions whose 16 samples are inside; NaN where a sample is void.

    The same arithmetic as `_cubic_at`, bit for bit, without branches, and with unsigned indices that need no wrapping: so
    the compiler computes several pixels at once.
    """
    for c in range(out.size):
        i, j = np.int32(vs[c]), np.int32(us[c])
        f, g = vs[c] - i, us[c] - j
        wx0, wx1 = ((-0.5 * g + 1.0) * g - 0.5) * g, (1.5 * g - 2.5) * g * g + 1.0
        wx2, wx3 = ((-1.5 * g + 2.0) * g + 0.5) * g, (0.5 * g - 0.5) * g * g
        wy0, wy1 = ((-0.5 * f + 1.0) * f - 0.5) * f, (1.5 * f - 2.5) * f * f + 1.0
        wy2, wy3 = ((-1.5 * f + 2.0) * f + 0.5) * f, (0.5 * f - 0.5) * f * f
        q0, q1, q2, q3 = np.uint64(i - 1), np.uint64(i), np.uint64(i + 1), np.uint64(i + 2)
        p0, p1, p2, p3 = np.uint64(j - 1), np.uint64(j), np.uint64(j + 1), np.uint64(j + 2)
        acc = wy0 * (wx0 * source[q0, p0] + wx1 * source[q0, p1] + wx2 * source[q0, p2] + wx3 * source[q0, p3])
        acc += wy1 * (wx0 * source[q1, p0] + wx1 * source[q1, p1] + wx2 * source[q1, p2] + wx3 * source[q1, p3])
        acc += wy2 * (wx0 * source[q2, p0] + wx1 * source[q2, p1] + wx2 * source[q2, p2] + wx3 * source[q2, p3])
        acc += wy3 * (wx0 * source[q3, p0] + wx1 * source[q3, p1] + wx2 * source[q3, p2] + wx3 * source[q3, p3])
        out[c] = acc + deltas[c]


@numba.njit(cache=True, nogil=True)
def regrid(
    source: FloatArray,
    row0: int,
    col0: int,
    node_rows: Float64Array,
    node_cols: Float64Array,
    node_deltas: Float64Array,
    lattice_row0: int,
    lattice_col0: int,
    nodes_per_px: float,
    first_row: int,
    first_col: int,
    out_rows: int,
    out_cols: int,
    scale_y: float,
    scale_x: float,
) -> FloatArray:
    """Heights of a source on a window of the target grid, shifted and offset by the lattice.

    Args:
        source: float32 heights in metres, NaN void: the part of the source around the window.
        row0: Row of `source[0, 0]` in the source's own grid.
        col0: Its column.
        node_rows: float64, the source's fractional row (pixel centres at whole numbers) at each node.
        node_cols: The same for columns.
        node_deltas: float64, metres to add at each node; NaN where heights must not be transformed, which voids the
            pixel.
        lattice_row0: Global row of the node at `[0, 0]`, growing southwards.
        lattice_col0: Its global column.
        nodes_per_px: Pixel size of the target over the spacing of nodes.
        first_row: Global row of the window's first pixel, growing southwards.
        first_col: Its global column.
        out_rows: Rows of the window.
        out_cols: Columns of the window.
        scale_y: How much wider than the source's pixel the kernel is along rows; at least 1.
        scale_x: The same along columns.

    Returns:
        float32, shape (out_rows, out_cols), NaN where void.
    """
    out = np.empty((out_rows, out_cols), np.float32)
    nodes = node_rows.shape[1]
    line_v = np.empty(nodes)
    line_u = np.empty(nodes)
    line_d = np.empty(nodes)
    wide = scale_y > 1.0 or scale_x > 1.0
    wy = np.empty(int(4.0 * scale_y) + 3)
    wx = np.empty(int(4.0 * scale_x) + 3)
    before, fraction = np.empty(out_cols, np.int64), np.empty(out_cols)
    vs, us, deltas = np.empty(out_cols), np.empty(out_cols), np.empty(out_cols)
    for c in range(out_cols):
        x = (first_col + c + 0.5) * nodes_per_px
        before[c] = math.floor(x) - lattice_col0
        fraction[c] = x - math.floor(x)
    for r in range(out_rows):
        y = (first_row + r + 0.5) * nodes_per_px
        y0 = math.floor(y)
        fy = y - y0
        i = y0 - lattice_row0
        for k in range(nodes):
            line_v[k] = node_rows[i, k] + fy * (node_rows[i + 1, k] - node_rows[i, k])
            line_u[k] = node_cols[i, k] + fy * (node_cols[i + 1, k] - node_cols[i, k])
            line_d[k] = node_deltas[i, k] + fy * (node_deltas[i + 1, k] - node_deltas[i, k])
        whole = not wide
        for c in range(out_cols):
            at, fx = np.uint64(before[c]), fraction[c]
            after = at + np.uint64(1)
            v = line_v[at] + fx * (line_v[after] - line_v[at]) - row0
            u = line_u[at] + fx * (line_u[after] - line_u[at]) - col0
            whole &= (v >= 1.0) & (v < source.shape[0] - 2) & (u >= 1.0) & (u < source.shape[1] - 2)
            vs[c], us[c], deltas[c] = v, u, line_d[at] + fx * (line_d[after] - line_d[at])
        start, end = (0, out_cols) if whole else (0, 0)
        if not (whole or wide):
            start, end = _inside_run(source, vs, us)
        out[r, :start] = np.nan
        out[r, end:] = np.nan
        _cubic_line(source, vs[start:end], us[start:end], deltas[start:end], out[r, start:end])
        for c in range(out_cols):
            v, u, delta = vs[c], us[c], deltas[c]
            if not math.isnan(out[r, c]) or math.isnan(v) or math.isnan(u) or math.isnan(delta):
                continue
            if wide:
                out[r, c] = _wide_cubic_at(source, v, u, scale_y, scale_x, wy, wx) + delta
            else:
                out[r, c] = _cubic_at(source, v, u) + delta
    return out
