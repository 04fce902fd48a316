"""The pixel kernels in numpy: for the first run on a machine, before numba has compiled its kernels.

The same arithmetic as `kernels.py` and `despike.py`, on whole bands of rows; results agree to single precision, but not
to the bit, so tiles never use them. A pair of 1.3 million pixels takes seconds instead of the 20 that
compiling does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates, spline_filter

from orograph.pipeline.coregistration.spline import POLE

Array = npt.NDArray[Any]

_HALF: Final = np.float32(0.5)
_PAD: Final = int(np.ceil(np.log(1e-6) / np.log(-POLE)))
_OFFSETS: Final = np.array([(r, c) for r in range(-2, 3) for c in range(-2, 3)])
_CHUNK: Final = 20_000
_PART_PX: Final = 16_000
"""Pixels that are compared at once: some thirty arrays of single precision fit the processor's cache."""

Field = tuple[Array, Array, Array]
"""Geometry, polynomial and lattice, see `coregistration.kernels`."""


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Rasters of a comparison, see `pair.Pair`."""

    reference: Array
    moving: Array
    despiked: Array
    inliers: Array
    holes: bool


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


def _displaced(field: Field, rows: Array, cols: Array) -> Array:
    """East, north and up displacement in single precision (3, rows, columns), metres; see `_moves`."""
    geometry, polynomial, lattice = field
    v = (geometry[0] + geometry[1] * rows + 0.5) * 2.0 / geometry[10] - 1.0
    u = (geometry[2] + geometry[3] * cols + 0.5) * 2.0 / geometry[11] - 1.0
    left, right = (np.stack([np.ones_like(place), place, place * place], axis=1) for place in (v, u))
    by_row = left @ np.stack([[[p[0], p[1], p[3]], [p[2], p[4], 0.0], [p[5], 0.0, 0.0]] for p in polynomial])
    if lattice.size:
        by_row = np.concatenate([by_row, _bilinear(v, lattice.shape[1]) @ lattice], axis=2)
        right = np.concatenate([right, _bilinear(u, lattice.shape[2])], axis=1)
    moved: Array = by_row.astype(np.float32) @ right.astype(np.float32).T
    return moved


def _split(origin: float, step: float, numbers: Array, moved: Array) -> tuple[Array, Array, Array]:
    """Positions `origin + step * numbers + moved`: whole part by number, further whole part and fraction by pixel.

    Displacements are short, so that single precision suffices for all that differs from pixel to pixel.
    """
    base = origin + step * numbers
    whole = np.floor(base)
    moved += (base - whole).astype(np.float32)
    further = np.floor(moved)
    moved -= further
    return whole.astype(np.intp), further, moved


def _compare(images: Images, field: Field, rows: Array, cols: Array) -> tuple[Array, Array, Array, Array]:
    """Residuals, slopes east and north, and whether pixels count, (rows, columns)."""
    geometry = field[0]
    height, width = images.moving.shape
    moves = _displaced(field, rows, cols)
    step_r, step_c = (int(v[1] - v[0]) if v.size > 1 else 1 for v in (rows, cols))
    window = (slice(int(rows[0]), int(rows[-1]) + 1, step_r), slice(int(cols[0]), int(cols[-1]) + 1, step_c))
    target = images.reference[window]
    counts = images.inliers[window] & ~np.isnan(target)
    if height < 4 or width < 4:
        return moves[0], moves[0], moves[0], counts & False
    row, down, s = _split(geometry[4], geometry[5], rows[:, None], moves[1] * np.float32(geometry[9]))
    col, across, t = _split(geometry[6], geometry[7], cols[None, :], moves[0] * np.float32(-geometry[8]))
    counts &= (down >= 1 - row) & (down <= height - 3 - row) & (across >= 1 - col) & (across <= width - 3 - col)
    start = down.astype(np.intp)
    start *= width
    start += across.astype(np.intp)
    start += (row - 1) * width + col - 1
    start *= counts
    if images.holes:
        near = start + (s >= 0.5) * np.intp(width) + (t >= 0.5)
        counts &= ~np.isnan(images.moving.reshape(-1)[width + 1 :].take(near, mode="clip"))
    flat = images.despiked.reshape(-1)
    lines = [_along(flat[i * width :], start, t) for i in range(4)]
    base = flat[width + 1 :].take(start, mode="clip")
    value, along_y = _cubic([line - base for line, _ in lines], s)
    along_x, _ = _cubic([slope for _, slope in lines], s)
    along_x *= np.float32(-geometry[8])
    along_y *= np.float32(geometry[9])
    residual = target - base
    residual -= value
    residual -= moves[2]
    return residual, along_x, along_y, counts


def _along(flat: Array, start: Array, t: Array) -> tuple[Array, Array]:
    """Height and derivative along a row at fractions between the second and third of four pixels."""
    return _cubic([flat[j:].take(start, mode="clip") for j in range(4)], t)


def _cubic(taps: list[Array], t: Array) -> tuple[Array, Array]:
    """Keys' cubic through four values, and its derivative, at fractions between the second and the third."""
    before, here, after, beyond = taps
    first = after - before
    first *= _HALF
    third = here - after
    third *= np.float32(3.0)
    third += beyond
    third -= before
    third *= _HALF
    second = after - here
    second -= first
    second -= third
    value = third * t
    derivative = value * np.float32(3.0)
    value += second
    value *= t
    second *= np.float32(2.0)
    derivative += second
    derivative *= t
    derivative += first
    value += first
    value *= t
    value += here
    return value, derivative


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
    edges = zip(row_edges[first:last], row_edges[first + 1 : last + 1], strict=True)
    rows = np.concatenate([np.arange(a + (-a) % step, b, step) for a, b in edges])
    cols = np.arange(reference.shape[1])
    images, field = Images(reference, moving, despiked, inliers, holes), (geometry, polynomial, lattice)
    for part in _parts(rows, step, cols.size):
        equations = _equations(_compare(images, field, part, cols), scale, gate)
        block = np.searchsorted(row_edges, part, side="right") - 1
        within = (block == np.arange(block[0], block[-1] + 1)[:, None]).astype(np.float32)
        by_col = np.add.reduceat((within @ equations).astype(np.float64), col_edges[:-1], axis=2)
        sums[block[0] : block[-1] + 1] += np.moveaxis(by_col, 0, 2)


def _parts(rows: Array, step: int, width: int) -> list[Array]:
    """Rows in parts whose arrays fit the processor's cache, of equal spacing."""
    most = max(1, _PART_PX // width)
    ends = np.flatnonzero(np.diff(rows) != step) + 1
    return [part[k : k + most] for part in np.split(rows, ends) for k in range(0, part.size, most)]


def _equations(compared: tuple[Array, Array, Array, Array], scale: Array, gate: float) -> Array:
    """Robustly weighted normal equations of pixels (11, rows, columns), as `coregistration.kernels` sums them."""
    residual, ge, gn, counts = compared
    sigma = ge * ge
    sigma += gn * gn
    np.sqrt(sigma, out=sigma)
    sigma *= np.float32(scale[1])
    sigma += np.float32(scale[0])
    precision = np.divide(np.float32(1.0), sigma * sigma, out=sigma)
    with np.errstate(invalid="ignore"):
        q = residual * residual
        q *= precision
        q *= np.float32(-1.0 / (gate * gate))
        q += np.float32(1.0)
        used = counts & (q > 0)
    q *= q
    q *= precision
    q[~used] = 0.0
    # A void's products are not numbers, and they stay that under a weight of zero.
    for value in (residual, ge, gn):
        value[~used] = 0.0
    out = np.empty((11, *used.shape), np.float32)
    np.multiply(q, ge, out=out[2])
    np.multiply(q, gn, out=out[4])
    out[5] = q
    np.multiply(q, residual, out=out[8])
    np.multiply(out[2], ge, out=out[0])
    np.multiply(out[2], gn, out=out[1])
    np.multiply(out[4], gn, out=out[3])
    np.multiply(out[2], residual, out=out[6])
    np.multiply(out[4], residual, out=out[7])
    np.multiply(out[8], residual, out=out[9])
    out[10] = used
    return out


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
    images, field = Images(reference, moving, despiked, inliers, holes), (geometry, polynomial, lattice)
    residual, ge, gn, counts = _compare(images, field, np.arange(first, last) * step, np.arange(out.shape[1]) * step)
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
