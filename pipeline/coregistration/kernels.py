"""Compiled inner loops: sample a raster through a displacement field, gather normal equations, warp.

Every kernel works on a band of rows, releases the interpreter lock and writes only its own output, so bands may run in
threads and the sums do not depend on the number of threads. Compiled code is cached next to this file (or in
`NUMBA_CACHE_DIR`).

Integers are passed as `np.int64`: numba would compile a function again for each literal.

Geometry is passed as twelve numbers, see `geometry_of` in `field.py`: the position of a working pixel in the field's
own grid and in the sampled raster, and that raster's pixels per metre.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled_with
from orograph.pipeline.coregistration import cubic_kernels as taps
from orograph.pipeline.coregistration import spline
from orograph.pipeline.coregistration.cubic_kernels import MATH
from orograph.pipeline.coregistration.row_kernels import (
    COUNTS,
    EAST,
    FIRST,
    LANES,
    NEAREST,
    NORTH,
    ONE,
    RAISE,
    RESIDUAL,
    SLOPE_E,
    SLOPE_N,
    UP,
    ZERO,
    S,
    T,
    choose,
    compare,
    displace,
    place,
    scratch,
    side_by_side,
)

Array = npt.NDArray[Any]

SUMS: Final = 11
"""Per block: six of the symmetric 3 x 3 normal matrix, three right-hand sides, weighted squared residuals, count."""

TUKEY: Final = 4.685
"""Tukey's biweight constant: 95 % efficient for Gaussian noise."""

_FLUSH_ROWS: Final = 64
"""Rows summed in single precision before they are added to the sums in double precision."""


@compiled_with(error_model="numpy", fastmath=MATH)
def _weigh(scale: Array, gate: float, n: int, lanes: Array, acc: Array) -> None:
    """Add the robustly weighted normal equations of `n` pixels to those of their columns."""
    flat_noise, slope_noise = np.float32(scale[0]), np.float32(scale[1])
    outside = np.float32(1.0 / (gate * gate))
    for j in range(n):
        residual, ge, gn = lanes[RESIDUAL + j], lanes[SLOPE_E + j], lanes[SLOPE_N + j]
        sigma = flat_noise + slope_noise * np.sqrt(ge * ge + gn * gn)
        precision = ONE / (sigma * sigma)
        q = ONE - residual * residual * precision * outside
        # A void gives NaN here, which is not above zero.
        used = (q > ZERO) & (lanes[COUNTS + j] > ZERO)
        w = q * q * precision if used else ZERO
        residual = residual if used else ZERO
        ge, gn = (ge if used else ZERO), (gn if used else ZERO)
        we, wn, wr = w * ge, w * gn, w * residual
        acc[j] += we * ge
        acc[LANES + j] += we * gn
        acc[2 * LANES + j] += we
        acc[3 * LANES + j] += wn * gn
        acc[4 * LANES + j] += wn
        acc[5 * LANES + j] += w
        acc[6 * LANES + j] += we * residual
        acc[7 * LANES + j] += wn * residual
        acc[8 * LANES + j] += wr
        acc[9 * LANES + j] += wr * residual
        acc[10 * LANES + j] += ONE if used else ZERO


@compiled_with(error_model="numpy", fastmath=MATH | {"reassoc"})
def _flush(acc: Array, first: int, n: int, block: int, col_edges: Array, sums: Array) -> None:
    """Add sums of `n` columns from `first` to those of their blocks, the first of which is `block`; empty them."""
    last = first + n
    while block < col_edges.size - 1 and col_edges[block] < last:
        a, b = max(col_edges[block], first) - first, min(col_edges[block + 1], last) - first
        for k in range(SUMS):
            total = 0.0
            for j in range(a, b):
                total += acc[k * LANES + j]
            sums[block, k] += total
        block += 1
    acc[:] = ZERO


@compiled_with(error_model="numpy", fastmath=MATH)
def accumulate(
    reference: Array,
    moving: Array,
    despiked: Array,
    holes: bool,
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

    Every `step`-th row is used, with all its pixels. The residual is reference - (moving, displaced) - up; its
    derivatives along east, north and up displacement are the columns. `scale` is the noise (metres) on flat terrain
    and its increase per unit of slope; `holes` is True if `moving` contains voids.
    """
    flat, truth, cols = despiked.ravel(), moving.ravel(), moving.shape[1]
    target, stable, width = reference.ravel(), inliers.ravel(), reference.shape[1]
    one = np.int64(1)
    moves, at, lanes = scratch()
    acc = np.zeros(SUMS * LANES, np.float32)
    for block_row in range(first, last):
        sums[block_row] = 0.0
        block = 0
        for left in range(0, width, LANES):
            n = min(LANES, width - left)
            while col_edges[block + 1] <= left:
                block += 1
            start, waiting, known = row_edges[block_row], 0, -1
            for r in range(start + (-start) % step, row_edges[block_row + 1], step):
                known = displace(geometry, polynomial, lattice, r, left, one, n, moves, known)
                contiguous = place(geometry, moving.shape, r, left, one, n, moves, at, lanes)
                if not choose(target, stable, truth, holes, r * width + left, one, n, at, lanes):
                    continue
                compare(flat, cols, geometry, n, contiguous, at, lanes)
                _weigh(scale, gate, n, lanes, acc)
                waiting += 1
                if waiting == _FLUSH_ROWS:
                    _flush(acc, left, n, block, col_edges, sums[block_row])
                    waiting = 0
            if waiting:
                _flush(acc, left, n, block, col_edges, sums[block_row])


@compiled_with(error_model="numpy", fastmath=MATH)
def residuals(
    reference: Array,
    moving: Array,
    despiked: Array,
    holes: bool,
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

    `first` and `last` are rows of the decimated grid; `out` and `slope` are float32 of the decimated shape.
    """
    flat, truth, cols = despiked.ravel(), moving.ravel(), moving.shape[1]
    target, stable, width = reference.ravel(), inliers.ravel(), reference.shape[1]
    moves, at, lanes = scratch()
    for left in range(0, out.shape[1], LANES):
        n, known = min(LANES, out.shape[1] - left), -1
        for i in range(first, last):
            out[i, left : left + n] = np.nan
            slope[i, left : left + n] = np.nan
            known = displace(geometry, polynomial, lattice, i * step, left * step, step, n, moves, known)
            contiguous = place(geometry, moving.shape, i * step, left * step, step, n, moves, at, lanes)
            if not choose(target, stable, truth, holes, (i * width + left) * step, step, n, at, lanes):
                continue
            compare(flat, cols, geometry, n, contiguous, at, lanes)
            for j in range(n):
                if lanes[COUNTS + j] > ZERO:
                    out[i, left + j] = lanes[RESIDUAL + j]
                    slope[i, left + j] = np.sqrt(lanes[SLOPE_E + j] ** 2 + lanes[SLOPE_N + j] ** 2)


@compiled_with(error_model="numpy", fastmath=MATH)
def warp(
    moving: Array,
    despiked: Array,
    holes: bool,
    geometry: Array,
    polynomial: Array,
    lattice: Array,
    first: int,
    last: int,
    out: Array,
) -> None:
    """Write rows `first` to `last` of the displaced raster; void exactly where the nearest sampled pixel is void.

    Read by the interpolating cubic spline of `despiked`; `holes` is True if `moving` contains voids.
    """
    coefficients = spline.coefficients(despiked)
    flat, truth, cols = coefficients.ravel(), moving.ravel(), moving.shape[1]
    width, one = np.uint64(cols), np.int64(1)
    moves, at, lanes = scratch()
    for left in range(0, out.shape[1], LANES):
        n, known = min(LANES, out.shape[1] - left), -1
        for r in range(first, last):
            known = displace(geometry, polynomial, lattice, r, left, one, n, moves, known)
            contiguous = place(geometry, moving.shape, r, left, one, n, moves, at, lanes)
            end: Any = np.int64(0)
            while end < n:
                begin, end = end, n if contiguous else side_by_side(end, n, at)
                if at[FIRST + begin] < 0:
                    _warp_outside(moving, coefficients, geometry, r, left, begin, end, moves, out)
                    continue
                line = out[r, left + begin : left + end]
                _warp_contiguous(flat[at[FIRST + begin] :], width, lanes[begin:], line)
                if holes:
                    for j in range(begin, end):
                        if np.isnan(truth[np.uint64(at[NEAREST + j])]):
                            line[j - begin] = np.nan


@compiled_with(error_model="numpy", fastmath=MATH)
def _warp_contiguous(flat: Array, width: Any, lanes: Array, line: Array) -> None:
    """Heights of pixels whose first taps are the first ones of `flat`."""
    for j in range(line.size):
        line[j] = taps.spline(flat, np.uint64(j), width, lanes[S + j], lanes[T + j]) + lanes[RAISE + j]


@compiled_with(error_model="numpy", fastmath=MATH)
def _warp_outside(
    moving: Array,
    coefficients: Array,
    geometry: Array,
    row: int,
    left: int,
    begin: int,
    end: int,
    moves: Array,
    out: Array,
) -> None:
    """Heights of pixels whose taps are partly beyond an edge; NaN where the pixels themselves are."""
    rows, cols = moving.shape
    for j in range(begin, end):
        y = geometry[4] + geometry[5] * row + moves[NORTH + j] * geometry[9]
        x = geometry[6] + geometry[7] * (left + j) - moves[EAST + j] * geometry[8]
        out[row, left + j] = np.nan
        if y >= -0.5 and x >= -0.5 and y < rows - 0.5 and x < cols - 0.5:
            near = moving[int(np.floor(y + 0.5)), int(np.floor(x + 0.5))]
            if not np.isnan(near):
                out[row, left + j] = taps.spline_at_edge(coefficients, y, x) + moves[UP + j]


@compiled_with(error_model="numpy", fastmath=MATH)
def evaluate(geometry: Array, polynomial: Array, lattice: Array, first: int, last: int, out: Array) -> None:
    """Write rows of the field itself (3 x rows x columns, metres)."""
    moves, one = scratch()[0], np.int64(1)
    for left in range(0, out.shape[2], LANES):
        n, known = min(LANES, out.shape[2] - left), -1
        for r in range(first, last):
            known = displace(geometry, polynomial, lattice, r, left, one, n, moves, known)
            for k in range(3):
                for j in range(n):
                    out[k, r, left + j] = moves[k * LANES + j]


@compiled_with(error_model="numpy", fastmath=MATH)
def north_range(
    geometry: Array, polynomial: Array, lattice: Array, first: int, last: int, cols: int
) -> tuple[float, float]:
    """Smallest and largest north displacement (metres) in rows `first` to `last`, of every eighth pixel."""
    step: Any = np.int64(8)
    moves = scratch()[0]
    low, high = np.inf, -np.inf
    for left in range(0, cols, LANES * step):
        n, known = min(LANES, (cols - left + step - 1) // step), -1
        for k in range(first, last + step, step):
            known = displace(geometry, polynomial, lattice, min(k, last - 1), left, step, n, moves, known)
            for j in range(n):
                low, high = min(low, moves[NORTH + j]), max(high, moves[NORTH + j])
    return low, high


@compiled_with(error_model="numpy", fastmath=MATH)
def resample(moving: Array, despiked: Array, nodes: Array, spacing: int, first: int, last: int, out: Array) -> None:
    """Write rows read through a lattice of sample places: `nodes` (2, rows, columns) are row and column of the raster.

    There is a node at every `spacing`-th pixel of the output; positions between are bilinear.
    """
    rows, cols = moving.shape
    flat = despiked.ravel()
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
                out[r, c] = taps.keys(flat, np.uint64((row - 1) * cols + col - 1), np.uint64(cols), y - row, x - col)
            else:
                out[r, c] = taps.keys_at_edge(despiked, y, x)
