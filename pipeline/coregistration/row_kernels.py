"""Parts of `kernels.py` for runs of pixels: displacement, sampling positions and differences.

Pixels are processed in runs of `LANES` along a row, one short step after another for the whole run, with intermediate
values in three small arrays, so that the compiler vectorises over sixteen pixels. As displacements change slowly, most
runs read adjacent pixels; the others, and rasters of different pixel sizes, read each pixel from its own position.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled_with
from orograph.pipeline.coregistration import cubic_kernels as taps
from orograph.pipeline.coregistration.cubic_kernels import MATH

Array = npt.NDArray[Any]

LANES: Final = 64
"""Pixels per run."""

# Places in the three arrays of a run. float64: east, north, up displacement, then what they are made of (three of four
# places each: steady, by v, by the lattice). int64: flat place of the first of sixteen taps (`OUTSIDE` without) and of
# the nearest pixel. float32: fractions of rows and columns, up, target, whether it counts, residual, slopes east and
# north.
EAST, NORTH, UP = 0, LANES, 2 * LANES
FIRST, NEAREST = 0, LANES
S, T, RAISE, TARGET, COUNTS, RESIDUAL, SLOPE_E, SLOPE_N = (k * LANES for k in range(8))

OUTSIDE: Final = -2 * LANES
"""So far below zero that the next index of a run is never taken for its neighbour."""

ZERO, ONE = np.float32(0.0), np.float32(1.0)


@compiled_with(error_model="numpy")
def scratch() -> tuple[Array, Array, Array]:
    """The three arrays of a run."""
    return np.zeros(15 * LANES), np.zeros(2 * LANES, np.int64), np.zeros(8 * LANES, np.float32)


@compiled_with(error_model="numpy", fastmath=MATH)
def _along_row(
    geometry: Array, polynomial: Array, lattice: Array, above: Any, first: Any, step: Any, n: int, moves: Array
) -> None:
    """Components of the displacement of a run on all rows between two of the lattice, `above` being the upper."""
    width, rows, cols = geometry[11], lattice.shape[1], lattice.shape[2]
    x, step_x = geometry[2] + geometry[3] * first + 0.5, geometry[3] * step
    for k in range(3):
        p, at = polynomial[k], (3 + 4 * k) * LANES
        for j in range(n):
            u = (x + step_x * j) * 2.0 / width - 1.0
            moves[at + j] = p[0] + u * (p[1] + u * p[3])
            moves[at + LANES + j] = p[2] + u * p[4]
            moves[at + 2 * LANES + j] = 0.0
    if rows == 0:
        return
    x, step_x = x * cols / width - 0.5, step_x * cols / width
    below: Any = min(above + 1, rows - 1)
    end: Any = np.int64(0)
    while end < n:
        # Between nodes along the row the displacement is linear.
        begin, place = end, x + step_x * end
        node = min(max(int(np.floor(place)), 0), max(cols - 2, 0))
        after, end = min(node + 1, cols - 1), n
        if node < cols - 2:
            end = min(max(int(np.ceil((node + 1.0 - x) / step_x)), begin + 1), n)
        for k in range(3):
            at = (3 + 4 * k) * LANES + begin
            upper, next_upper = lattice[k, above, node], lattice[k, above, after]
            lower, next_lower = lattice[k, below, node] - upper, lattice[k, below, after] - next_upper
            first_place, last_place = place - node, cols - 0.5 - node
            _add_nodes(upper, next_upper - upper, first_place, step_x, last_place, end - begin, moves[at:])
            at += 2 * LANES
            _add_nodes(lower, next_lower - lower, first_place, step_x, last_place, end - begin, moves[at:])


@compiled_with(error_model="numpy", fastmath=MATH)
def _add_nodes(here: float, change: float, place: float, step: float, last: float, n: int, moves: Array) -> None:
    """Add the lattice between two nodes; `place` counts from the former; constant beyond `last` or half a node."""
    for j in range(n):
        moves[j] += here + min(max(place + step * j, -0.5), last) * change


@compiled_with(error_model="numpy", fastmath=MATH)
def displace(
    geometry: Array,
    polynomial: Array,
    lattice: Array,
    row: int,
    first: int,
    step: Any,
    n: int,
    moves: Array,
    known: int,
) -> int:
    """East, north and up displacement (metres) of every `step`-th of `n` pixels of a row, from column `first`.

    Most of it is the same on the next row: pass the returned lattice row as `known`, -1 for a new run.
    """
    rows = lattice.shape[1]
    y = (geometry[0] + geometry[1] * row + 0.5) / geometry[10]
    v = y * 2.0 - 1.0
    fy = min(max(y * rows - 0.5, -0.5), rows - 0.5)
    above = min(max(int(np.floor(fy)), 0), max(rows - 2, 0))
    t = fy - above if rows > 1 else 0.0
    if above != known:
        _along_row(geometry, polynomial, lattice, above, first, step, n, moves)
    for k in range(3):
        square, at = polynomial[k, 5] * v * v, (3 + 4 * k) * LANES
        for j in range(n):
            steady = moves[at + j] + square
            moves[k * LANES + j] = steady + v * moves[at + LANES + j] + t * moves[at + 2 * LANES + j]
    return above


@compiled_with(error_model="numpy", fastmath=MATH)
def place(
    geometry: Array,
    shape: tuple[int, int],
    row: int,
    first: int,
    step: Any,
    n: int,
    moves: Array,
    at: Array,
    lanes: Array,
) -> bool:
    """Positions of `n` pixels in a raster of a shape; whether all are inside and adjacent."""
    rows, cols = shape
    top, left = geometry[4] + geometry[5] * row, geometry[6] + geometry[7] * first
    across, per_x, per_y = geometry[7] * step, geometry[8], geometry[9]
    for j in range(n):
        y, x = top + moves[NORTH + j] * per_y, left + across * j - moves[EAST + j] * per_x
        inside = (y >= 1.0) & (x >= 1.0) & (y < rows - 2) & (x < cols - 2)
        y, x = (y if inside else 1.0), (x if inside else 1.0)
        r, c = int(y), int(x)
        at[FIRST + j] = (r - 1) * cols + c - 1 if inside else OUTSIDE
        at[NEAREST + j] = int(y + 0.5) * cols + int(x + 0.5) if inside else 0
        lanes[S + j] = np.float32(y - r)
        lanes[T + j] = np.float32(x - c)
        lanes[RAISE + j] = np.float32(moves[UP + j])
    broken = 0
    for j in range(n):
        broken += at[FIRST + j] != at[FIRST] + j
    return broken == 0 and at[FIRST] >= 0


@compiled_with(error_model="numpy", fastmath=MATH)
def choose(
    reference: Array, inliers: Array, truth: Array, holes: bool, start: Any, step: Any, n: int, at: Array, lanes: Array
) -> bool:
    """Targets of `n` pixels from flat index `start` and whether each counts: inlier and valid in both rasters."""
    any_counts = 0
    for j in range(n):
        i = np.uint64(start + j * step)
        target = reference[i]
        counts = inliers[i] & (target == target) & (at[FIRST + j] >= 0)  # noqa: PLR0124 - not NaN
        lanes[TARGET + j] = target if counts else ZERO
        lanes[COUNTS + j] = ONE if counts else ZERO
        any_counts += counts
    if holes and any_counts:
        for j in range(n):
            if np.isnan(truth[np.uint64(at[NEAREST + j])]):
                lanes[COUNTS + j] = ZERO
    return any_counts > 0


@compiled_with(error_model="numpy")
def side_by_side(begin: int, n: int, at: Array) -> int:
    """The end of the pixels from `begin` that are read as adjacent pixels."""
    end = begin + 1
    while end < n and at[FIRST + end] - at[FIRST + begin] == end - begin:
        end += 1
    return end


@compiled_with(error_model="numpy", fastmath=MATH)
def _compare_contiguous(flat: Array, width: Any, per_x: Any, per_y: Any, n: int, lanes: Array) -> None:
    """Residuals and slopes of `n` pixels whose first taps are the first ones of `flat`."""
    for j in range(n):
        i = np.uint64(j)
        rest, along_x, along_y = taps.keys_with_slopes(flat, i, width, lanes[S + j], lanes[T + j])
        lanes[RESIDUAL + j] = (lanes[TARGET + j] - flat[i + width + np.uint64(1)]) - rest - lanes[RAISE + j]
        lanes[SLOPE_E + j] = -along_x * per_x
        lanes[SLOPE_N + j] = along_y * per_y


@compiled_with(error_model="numpy", fastmath=MATH)
def compare(flat: Array, cols: int, geometry: Array, n: int, contiguous: bool, at: Array, lanes: Array) -> None:
    """Residuals reference - raster - up and the raster's slopes east and north (unitless) of `n` pixels."""
    width, per_x, per_y = np.uint64(cols), np.float32(geometry[8]), np.float32(geometry[9])
    end: Any = np.int64(0)
    while end < n:
        begin, end = end, n if contiguous else side_by_side(end, n, at)
        if at[FIRST + begin] >= 0:
            _compare_contiguous(flat[at[FIRST + begin] :], width, per_x, per_y, end - begin, lanes[begin:])
