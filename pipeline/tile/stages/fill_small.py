"""Fills many voids of a few dozen pixels: the membrane of `fill`, solved densely in one compiled pass."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import BoolArray, FloatArray

LARGEST_PX: Final = 64
_PART: Final = 1 << 18


def fill_small(
    labels: npt.NDArray[np.int32],
    heights_m: FloatArray,
    sigma_m: FloatArray,
    filled: BoolArray,
    limit_px: int,
    sigma_per_px: float,
) -> npt.NDArray[np.int64]:
    """Fill the voids of at most 64 pixels in place.

    Args:
        labels: Number of each pixel's void, from 1; 0 where there is a height.
        heights_m: float32, NaN in voids.
        sigma_m: float32 standard deviations, NaN in voids.
        filled: Becomes True where a void was filled.
        limit_px: Voids longer than this in either direction stay.
        sigma_per_px: Growth of the standard deviation per pixel from the rim.

    Returns:
        The numbers of larger voids, which remain to be filled.
    """
    flat = labels.ravel()
    # Numpy counts and picks by eight-byte integers: by parts, and only pixels of small voids are sorted.
    parts = [slice(first, first + _PART) for first in range(0, flat.size, _PART)]
    sizes = np.zeros(int(flat.max(initial=0)) + 1, np.int64)
    for part in parts:
        counts = np.bincount(flat[part])
        sizes[: counts.size] += counts
    sizes[0] = 0
    is_small = (sizes > 0) & (sizes <= LARGEST_PX)
    if is_small.any():
        where = np.concatenate([part.start + np.flatnonzero(is_small[flat[part]]) for part in parts])
        where = where[np.argsort(flat[where], kind="stable")]
        starts = np.concatenate([[0], np.cumsum(sizes[is_small])])
        rows, cols = np.divmod(where, labels.shape[1])
        _fill(labels, rows, cols, starts, heights_m, sigma_m, filled, limit_px, sigma_per_px)
    return np.flatnonzero(sizes > LARGEST_PX)


@compiled
def _fill(
    labels: Any,
    rows: Any,
    cols: Any,
    starts: Any,
    heights: Any,
    sigma: Any,
    filled: Any,
    limit: int,
    sigma_per_px: float,
) -> None:  # pragma: no cover - compiled
    system = np.empty((LARGEST_PX, LARGEST_PX))
    load = np.empty(LARGEST_PX)
    rim = np.empty((4 * LARGEST_PX, 2), np.int64)
    last_row, last_col = labels.shape[0] - 1, labels.shape[1] - 1
    for void in range(starts.size - 1):
        r, c = rows[starts[void] : starts[void + 1]], cols[starts[void] : starts[void + 1]]
        fits = r.max() - r.min() < limit and c.max() - c.min() < limit
        if not fits or r.min() == 0 or c.min() == 0 or r.max() == last_row or c.max() == last_col:
            continue
        rim_px = _equations(labels, r, c, heights, system, load, rim)
        _solve(system, load, r.size)
        base = 0.0
        for k in range(rim_px):
            base += sigma[rim[k, 0], rim[k, 1]] / rim_px
        for i in range(r.size):
            nearest = np.inf
            for k in range(rim_px):
                nearest = min(nearest, np.hypot(float(rim[k, 0] - r[i]), float(rim[k, 1] - c[i])))
            heights[r[i], c[i]] = load[i]
            sigma[r[i], c[i]] = np.hypot(base, sigma_per_px * nearest)
            filled[r[i], c[i]] = True


@compiled
def _equations(
    labels: Any, r: Any, c: Any, heights: Any, system: Any, load: Any, rim: Any
) -> int:  # pragma: no cover - compiled
    """Solve Laplace's equation in a void (each pixel is its neighbours' mean); return the number of rim pixels."""
    number, rim_px = labels[r[0], c[0]], 0
    system[: r.size, : r.size] = 0.0
    for i in range(r.size):
        load[i] = 0.0
        system[i, i] = 4.0
        for row_step, col_step in ((-1, 0), (0, -1), (0, 1), (1, 0)):
            a, b = r[i] + row_step, c[i] + col_step
            if labels[a, b] == number:
                for j in range(r.size):
                    if r[j] == a and c[j] == b:
                        system[i, j] = -1.0
                continue
            load[i] += heights[a, b]
            known = False
            for k in range(rim_px):
                known = known or (rim[k, 0] == a and rim[k, 1] == b)
            if not known:
                rim[rim_px, 0], rim[rim_px, 1] = a, b
                rim_px += 1
    return rim_px


@compiled
def _solve(system: Any, load: Any, count: int) -> None:  # pragma: no cover - compiled
    """Cholesky in place; the system is positive definite, as every void has a rim."""
    for j in range(count):
        for k in range(j):
            if system[j, k] != 0.0:
                for i in range(j, count):
                    system[i, j] -= system[i, k] * system[j, k]
        pivot = np.sqrt(system[j, j])
        for i in range(j, count):
            system[i, j] /= pivot
    for i in range(count):
        for k in range(i):
            load[i] -= system[i, k] * load[k]
        load[i] /= system[i, i]
    for i in range(count - 1, -1, -1):
        for k in range(i + 1, count):
            load[i] -= system[k, i] * load[k]
        load[i] /= system[i, i]
