"""The pixel kernels in numpy: for the first run on a machine, before numba has compiled its kernels.

The same arithmetic as `kernels.py` and `despike.py`, on whole bands of rows; results agree to single precision, but not
to the bit, so tiles never use them. A pair of 1.3 million pixels takes seconds instead of the 20 that
compiling does.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates, spline_filter

from orograph.pipeline.coregistration.spline import POLE

Array = npt.NDArray[Any]

_KEYS: Final = ((0.0, -0.5, 1.0, -0.5), (1.0, 0.0, -2.5, 1.5), (0.0, 0.5, 2.0, -1.5), (0.0, 0.0, -0.5, 0.5))
"""Coefficients of 1, t, t2, t3 of Keys' four weights."""
_PAD: Final = int(np.ceil(np.log(1e-6) / np.log(-POLE)))
_OFFSETS: Final = np.array([(r, c) for r in range(-2, 3) for c in range(-2, 3)])
_CHUNK: Final = 20_000


def _bilinear(place: Array, nodes: int) -> Array:
    """Weights (places, nodes) of a lattice at positions in -1..1, linear half a node beyond the ends."""
    at = np.clip((place + 1.0) * 0.5 * nodes - 0.5, -0.5, nodes - 0.5)
    if nodes == 1:
        return np.ones((at.size, 1))
    left = np.clip(np.floor(at).astype(int), 0, nodes - 2)
    weights = np.zeros((at.size, nodes))
    weights[np.arange(at.size), left] = 1.0 - (at - left)
    weights[np.arange(at.size), left + 1] = at - left
    return weights


def _moves(geometry: Array, polynomial: Array, lattice: Array, rows: Array, cols: Array) -> Array:
    """East, north and up displacement (3, rows, columns), metres."""
    v = ((geometry[0] + geometry[1] * rows + 0.5) * 2.0 / geometry[10] - 1.0)[:, None]
    u = ((geometry[2] + geometry[3] * cols + 0.5) * 2.0 / geometry[11] - 1.0)[None, :]
    out = np.stack([p[0] + u * (p[1] + u * p[3]) + v * (p[2] + u * p[4] + v * p[5]) for p in polynomial])
    if lattice.size:
        down, across = _bilinear(v[:, 0], lattice.shape[1]), _bilinear(u[0], lattice.shape[2])
        out += down @ lattice @ across.T
    return out


def _places(geometry: Array, moves: Array, rows: Array, cols: Array) -> tuple[Array, Array]:
    """Row and column of the moving raster that are read."""
    y = geometry[4] + geometry[5] * rows[:, None] + moves[1] * geometry[9]
    x = geometry[6] + geometry[7] * cols[None, :] - moves[0] * geometry[8]
    return y, x


def _weights(t: Array) -> list[Array]:
    return [a + t * (b + t * (c + t * d)) for a, b, c, d in _KEYS]


def _derivatives(t: Array) -> list[Array]:
    return [b + t * (2.0 * c + t * (3.0 * d)) for _, b, c, d in _KEYS]


def _compare(
    reference: Array,
    moving: Array,
    despiked: Array,
    holes: bool,
    inliers: Array,
    field: tuple[Array, Array, Array],
    rows: Array,
    cols: Array,
) -> tuple[Array, Array, Array, Array]:
    """Residuals, slopes east and north, and whether pixels count, (rows, columns)."""
    geometry = field[0]
    moves = _moves(*field, rows, cols)
    y, x = _places(geometry, moves, rows, cols)
    height, width = moving.shape
    counts = (y >= 1.0) & (x >= 1.0) & (y < height - 2) & (x < width - 2)
    y, x = np.where(counts, y, 1.0), np.where(counts, x, 1.0)
    step_r, step_c = (int(v[1] - v[0]) if v.size > 1 else 1 for v in (rows, cols))
    window = (slice(int(rows[0]), int(rows[-1]) + 1, step_r), slice(int(cols[0]), int(cols[-1]) + 1, step_c))
    target = reference[window]
    counts &= inliers[window] & ~np.isnan(target)
    if height < 4 or width < 4:
        return moves[0].astype(np.float32), moves[0].astype(np.float32), moves[0].astype(np.float32), counts & False
    row, col = y.astype(np.int64), x.astype(np.int64)
    flat = despiked.reshape(-1)
    if holes:
        near = (y + 0.5).astype(np.int64) * width + (x + 0.5).astype(np.int64)
        counts &= ~np.isnan(moving.reshape(-1)[near])
    start = (row - 1) * width + col - 1
    s, t = (y - row).astype(np.float32), (x - col).astype(np.float32)
    base = flat[start + width + 1]
    by_row, by_col, along_col = _weights(s), _weights(t), _derivatives(t)
    along_row = _derivatives(s)
    value = np.zeros_like(base)
    along_x, along_y = np.zeros_like(base), np.zeros_like(base)
    for i in range(4):
        taps = [flat[start + (i * width + j)] - base for j in range(4)]
        line = by_col[0] * taps[0] + by_col[1] * taps[1] + by_col[2] * taps[2] + by_col[3] * taps[3]
        slope = along_col[0] * taps[0] + along_col[1] * taps[1] + along_col[2] * taps[2] + along_col[3] * taps[3]
        value += by_row[i] * line
        along_x += by_row[i] * slope
        along_y += along_row[i] * line
    residual = (target - base) - value - moves[2].astype(np.float32)
    return residual, -along_x * np.float32(geometry[8]), along_y * np.float32(geometry[9]), counts


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
    """Accumulate normal equations by block; see `coregistration.kernels.accumulate`."""
    sums[first:last] = 0.0
    rows = np.concatenate(
        [
            np.arange(a + (-a) % step, b, step)
            for a, b in zip(row_edges[first:last], row_edges[first + 1 : last + 1], strict=True)
        ]
    )
    if not rows.size:
        return
    cols = np.arange(reference.shape[1])
    field = (geometry, polynomial, lattice)
    residual, ge, gn, counts = _compare(reference, moving, despiked, holes, inliers, field, rows, cols)
    sigma = np.float32(scale[0]) + np.float32(scale[1]) * np.sqrt(ge * ge + gn * gn)
    precision = 1.0 / (sigma * sigma)
    with np.errstate(invalid="ignore"):
        q = 1.0 - residual * residual * precision / np.float32(gate * gate)
        used = counts & (q > 0)
    w = np.where(used, q * q * precision, 0.0)
    residual, ge, gn = (np.where(used, part, 0.0) for part in (residual, ge, gn))
    we, wn, wr = w * ge, w * gn, w * residual
    block = np.searchsorted(row_edges, rows, side="right") - 1 - first
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    parts = (we * ge, we * gn, we, wn * gn, wn, w, we * residual, wn * residual, wr, wr * residual, used)
    for k, part in enumerate(parts):
        by_col = np.add.reduceat(part, col_edges[:-1], axis=1, dtype=np.float64)
        sums[first + block[starts], :, k] = np.add.reduceat(by_col, starts, axis=0)


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
    """Compute residuals and slopes; see `coregistration.kernels.residuals`."""
    rows, cols = np.arange(first, last) * step, np.arange(out.shape[1]) * step
    field = (geometry, polynomial, lattice)
    residual, ge, gn, counts = _compare(reference, moving, despiked, holes, inliers, field, rows, cols)
    out[first:last] = np.where(counts, residual, np.nan)
    slope[first:last] = np.where(counts, np.sqrt(ge * ge + gn * gn), np.nan)


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
    """Write rows of the displaced raster; see `coregistration.kernels.warp`."""
    rows, cols = np.arange(first, last), np.arange(out.shape[1])
    moves = _moves(geometry, polynomial, lattice, rows, cols)
    y, x = _places(geometry, moves, rows, cols)
    height, width = moving.shape
    inside = (y >= -0.5) & (x >= -0.5) & (y < height - 0.5) & (x < width - 0.5)
    if holes:
        near = np.where(inside, np.floor(y + 0.5) * width + np.floor(x + 0.5), 0).astype(np.int64)
        inside &= ~np.isnan(moving.reshape(-1)[near])
    heights = _papered(despiked).astype(np.float64)
    pad = [(min(_PAD, max(size - 1, 0)),) * 2 for size in heights.shape]
    coefficients = spline_filter(np.pad(heights, pad, mode="reflect", reflect_type="odd"), 3, mode="mirror")
    values = map_coordinates(coefficients, [y + pad[0][0], x + pad[1][0]], order=3, mode="mirror", prefilter=False)
    out[first:last] = np.where(inside, values + moves[2], np.nan)


def _papered(values: Array) -> Array:
    """Voids filled by the mean; they are not written, and pixels near them were repaired before."""
    void = np.isnan(values)
    return np.where(void, np.float32(values[~void].mean() if not void.all() else 0.0), values) if void.any() else values


def evaluate(geometry: Array, polynomial: Array, lattice: Array, first: int, last: int, out: Array) -> None:
    """Write rows of the displacement field; see `coregistration.kernels.evaluate`."""
    rows, cols = np.arange(first, last), np.arange(out.shape[2])
    out[:, first:last] = _moves(geometry, polynomial, lattice, rows, cols)


def north_range(
    geometry: Array, polynomial: Array, lattice: Array, first: int, last: int, cols: int
) -> tuple[float, float]:
    """Smallest and largest north displacement, metres; see `coregistration.kernels.north_range`."""
    rows = np.unique(np.minimum(np.arange(first, last + 8, 8), last - 1))
    north = _moves(geometry, polynomial, lattice, rows, np.arange(0, cols, 8))[1]
    return float(north.min()), float(north.max())


def thin_rows(heights: Array, inliers: Array, factor: int, first: int, last: int, out: Array) -> None:
    """Decimate rows by medians; see `coregistration.pair._thin_rows`."""
    skip = 2 if factor >= 4 else 1
    width = out.shape[1] * factor
    part = heights[first * factor : last * factor, :width]
    if inliers.size > 1:
        part = np.where(inliers[first * factor : last * factor, :width], part, np.nan)
    cells = part.reshape(last - first, factor, out.shape[1], factor)[:, ::skip, :, ::skip]
    values = np.sort(cells.transpose(0, 2, 1, 3).reshape(last - first, out.shape[1], -1), axis=2)
    n = np.count_nonzero(np.isfinite(values), axis=2)
    middle = np.maximum(n // 2, 0)
    upper = np.take_along_axis(values, np.minimum(middle, values.shape[2] - 1)[..., None], axis=2)[..., 0]
    lower = np.take_along_axis(values, np.maximum(middle - 1, 0)[..., None], axis=2)[..., 0]
    median = np.where(n % 2 == 1, upper, 0.5 * (upper + lower))
    out[first:last] = np.where(2 * n < values.shape[2], np.nan, median)


def despike(heights: Array, threshold: float) -> Array:
    """Replace spikes and fill voids of up to two pixels; see `coregistration.despike.despike`."""
    clean = heights
    if np.isfinite(threshold):
        spikes = _spikes(heights, threshold)
        if spikes.size:
            clean = heights.copy()
            clean.reshape(-1)[spikes] = np.nan
    void = np.flatnonzero(~np.isfinite(clean))
    if not void.size:
        return heights
    out = clean.copy() if clean is heights else clean
    padded = np.pad(clean, 2, constant_values=np.nan)
    row, col = np.divmod(void, heights.shape[1])
    filled = np.full(void.size, np.nan, np.float32)
    for start in range(0, void.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        around = padded[row[part, None] + 2 + _OFFSETS[:, 0], col[part, None] + 2 + _OFFSETS[:, 1]]
        filled[part] = _local_surfaces(around.astype(np.float64))
    out.reshape(-1)[void] = filled
    return out


def _spikes(heights: Array, threshold: float) -> Array:
    """Flat indices of heights that differ from their neighbours in both directions and from their median."""
    apart = np.ones(heights.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        apart[:, 1:-1] = ~(np.abs(heights[:, 1:-1] - 0.5 * (heights[:, :-2] + heights[:, 2:])) <= threshold)
        apart[1:-1] &= ~(np.abs(heights[1:-1] - 0.5 * (heights[:-2] + heights[2:])) <= threshold)
    places = np.flatnonzero(apart & np.isfinite(heights))
    padded = np.pad(heights, 1, constant_values=np.nan)
    row, col = np.divmod(places, heights.shape[1])
    near = _OFFSETS[(np.abs(_OFFSETS).max(axis=1) == 1)]
    around = np.sort(padded[row[:, None] + 1 + near[:, 0], col[:, None] + 1 + near[:, 1]], axis=1)
    n = np.count_nonzero(np.isfinite(around), axis=1)
    index = np.arange(places.size)
    upper, lower = around[index, np.minimum(n // 2, 7)], around[index, np.maximum(n // 2 - 1, 0)]
    median = np.where(n % 2 == 1, upper, 0.5 * (upper + lower))
    far = np.abs(heights.reshape(-1)[places] - median) > threshold
    return places[far & (n >= 3)]


def _local_surfaces(around: Array) -> Array:
    """Quadratics through the valid heights (n, 25) of 5 x 5 neighbourhoods, at their centres; NaN without any."""
    dy, dx = _OFFSETS.astype(np.float64).T
    valid = np.isfinite(around)
    weight = np.where(valid, np.exp(-0.5 * (dy**2 + dx**2)), 0.0)
    total = weight.sum(axis=1)
    heights = np.where(valid, around, 0.0)
    mean = (weight * heights).sum(axis=1) / np.maximum(total, 1e-300)
    basis = np.stack([np.ones_like(dx), dx, dy, dx * dx, dx * dy, dy * dy], axis=1)
    normal = np.einsum("nk,ki,kj->nij", weight, basis, basis) + np.diag([1e-6, 1e-3, 1e-3, 3e-2, 3e-2, 3e-2])
    right = np.einsum("nk,ki->ni", weight * (heights - mean[:, None]), basis)
    out = mean + np.linalg.solve(normal, right[..., None])[:, 0, 0]
    return np.where(total > 0, out, np.nan)


def resample(moving: Array, despiked: Array, nodes: Array, spacing: int, first: int, last: int, out: Array) -> None:
    """Write rows resampled through a lattice by the cubic spline; see `coregistration.kernels.resample`."""
    rows, cols = np.arange(first, last) / spacing, np.arange(out.shape[1]) / spacing
    down, across = _straight(rows, nodes.shape[1]), _straight(cols, nodes.shape[2])
    y, x = down @ nodes @ across.T
    inside = (y >= -0.5) & (x >= -0.5) & (y < moving.shape[0] - 0.5) & (x < moving.shape[1] - 0.5)
    near = np.where(inside, np.floor(y + 0.5) * moving.shape[1] + np.floor(x + 0.5), 0).astype(np.int64)
    inside &= ~np.isnan(moving.reshape(-1)[near])
    out[first:last] = np.nan
    if not inside.any():
        return
    top, bottom = max(int(y[inside].min()) - _PAD, 0), min(int(y[inside].max()) + _PAD + 2, moving.shape[0])
    part = _papered(despiked[top:bottom]).astype(np.float64)
    values = map_coordinates(
        spline_filter(part, 3, mode="mirror"), [y - top, x], order=3, mode="mirror", prefilter=False
    )
    out[first:last] = np.where(inside, values, np.nan)


def _straight(place: Array, nodes: int) -> Array:
    """Weights (places, nodes) of the two nodes around positions counted in nodes."""
    left = np.minimum(place.astype(int), nodes - 2)
    weights = np.zeros((place.size, nodes))
    weights[np.arange(place.size), left] = 1.0 - (place - left)
    weights[np.arange(place.size), left + 1] = place - left
    return weights
