"""Steps of a DSM across the clean edges of mapped woods, told apart from the terrain's own forms.

Profiles of half a kilometre cross the edge. Each is a polynomial, the terrain, plus the step of a canopy as the sensor blurs
it. Four polynomials of different length and order are fitted. A canopy's step is the same in all of them; a ridge or a
slope that the map follows is taken up by the higher orders, so the four disagree.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, minimum_filter
from scipy.special import ndtr

from orograph.pipeline.bare_earth.block_lattice import BlockLattice
from orograph.pipeline.bare_earth.edge_scene import NO_EVIDENCE_M, TRUNCATE, EdgeScene, Steps
from orograph.pipeline.core.raster import BoolArray

Array = npt.NDArray[np.float64]

_REACH: Final = 8
"""Pixels of a profile on either side of the edge."""
_TERRAINS: Final = ((4, 1, False), (6, 3, False), (8, 5, False), (8, 2, True))
"""Polynomials: pixels on either side, order, and whether the slope may break at the edge, as on a crest."""
_NORMAL_SIGMA: Final = 1.5
_LINE_SIGMA: Final = 0.7
REACH_PX: Final = _REACH + int(TRUNCATE * _NORMAL_SIGMA + 0.5) + 3
"""Pixels that a profile depends on."""
_SAMPLED: Final = 0.5
"""Blur by interpolation between pixels and by ragged edges, pixels."""
_SHARPEST: Final = 0.1
"""Least gradient of the smoothed share across an edge, per pixel."""
_INSIDE, _OUTSIDE = slice(_REACH + 1, _REACH + 5), slice(_REACH - 4, _REACH - 1)
_WOOD: Final = 0.8
_OPEN: Final = 0.2
_CELL_PX: Final = 12
"""Profiles in different cells count as independent in the standard error."""
_FEWEST_CELLS: Final = 4
_USED: Final = 0.999
_LEAST_ERROR_M: Final = 0.3
_LARGEST_M: Final = 60.0
_FOLLOWED: Final = 0.2
"""Mean step of bare terrain along the edges of a right map, over the spread of single steps, on wooded alpine slopes."""


def profile_steps(scene: EdgeScene, lattice: BlockLattice) -> Steps:
    """Measure the step across the clean edges of woods by block: closed wood on one side, open terrain on the other."""
    step_m = max(scene.pixel_size_m)
    per_step = np.array([step_m / size for size in reversed(scene.pixel_size_m)])
    rows, columns, along = _edges(scene.cover[0], per_step)
    inner = _within(rows, columns, along, scene.heights_m.shape)
    rows, columns, along = rows[inner], columns[inner], along[:, inner]
    # The outermost pixel's centre is about a third of a pixel inside the wood.
    offsets = along[:, :, None] * (np.arange(-_REACH, _REACH + 1) - 1.0 / 3.0)

    def crossed(plane: Array) -> Array:
        return _sampled(plane, rows, columns, offsets)

    clean = (
        (crossed((scene.valid & scene.known).astype(np.float64)).min(axis=1, initial=1.0) > _USED)
        & (crossed(scene.cover[0])[:, _INSIDE].mean(axis=1) > _WOOD)
        & (crossed(scene.cover.sum(axis=0))[:, _OUTSIDE].mean(axis=1) < _OPEN)
    )
    profiles = crossed(scene.filled)[clean]
    estimates = np.clip(
        _fitted(profiles - profiles[:, :1], _weights(math.hypot(scene.blur_m / step_m, _SAMPLED))),
        -_LARGEST_M,
        _LARGEST_M,
    )
    return _by_block(estimates, rows[clean], columns[clean], lattice)


def _by_block(
    estimates: Array, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], lattice: BlockLattice
) -> Steps:
    """Means over the blocks around; the error follows from the sums of cells (White's estimator)."""

    def cells(values: Array) -> Array:
        plane = np.zeros(lattice.shape)
        plane[rows, columns] = values
        return lattice.by_cell(plane, _CELL_PX)

    counts, sums = cells(np.ones(len(rows))), cells(estimates.mean(axis=1))
    count = np.maximum(lattice.around_cells(counts), 1.0)
    occupied = lattice.around_cells((counts > 0).astype(np.float64))
    means = np.array([lattice.around_cells(cells(part)) for part in estimates.T]) / count
    mean = lattice.around_cells(sums) / count
    squares = lattice.around_cells(sums**2) - 2 * mean * lattice.around_cells(sums * counts)
    squares += mean**2 * lattice.around_cells(counts**2)
    small = occupied / np.maximum(occupied - 1.0, 1.0)
    single = lattice.around_cells(cells(np.square(estimates.mean(axis=1)))) / count - mean**2
    error = np.maximum(np.sqrt(np.maximum(squares, 0.0) * small) / count, _LEAST_ERROR_M)
    error = np.where(occupied >= _FEWEST_CELLS, error, NO_EVIDENCE_M)
    return Steps(mean, error, _FOLLOWED * np.sqrt(np.maximum(single, 0.0)), means.std(axis=0))


def _edges(share: Array, per_step: Array) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Array]:
    """Rows and columns of the outermost pixels of woods, and the step into the wood, (2, edges), pixels."""
    smooth = gaussian_filter(share, _NORMAL_SIGMA * per_step, truncate=TRUNCATE)
    slope = np.stack(np.gradient(smooth)) * per_step[:, None, None]
    steep = np.hypot(*slope)
    wood = gaussian_filter(share, _LINE_SIGMA * per_step, truncate=TRUNCATE) > 0.5
    rows, columns = np.nonzero(wood & ~minimum_filter(wood, 3, mode="nearest") & (steep > _SHARPEST))
    return rows, columns, slope[:, rows, columns] / steep[rows, columns] * per_step[:, None]


def _within(
    rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], along: Array, shape: tuple[int, ...]
) -> BoolArray:
    """Profiles that end inside the array."""
    reach = np.abs(along) * (_REACH + 1)
    return np.asarray(
        (rows >= reach[0])
        & (rows < shape[0] - 1 - reach[0])
        & (columns >= reach[1])
        & (columns < shape[1] - 1 - reach[1])
    )


def _sampled(plane: Array, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], offsets: Array) -> Array:
    """Bilinear values at offsets from pixels, (edges, offsets); the same bits in every window."""
    whole = np.floor(offsets)
    down, aside = offsets - whole
    top, left = rows[:, None] + whole[0].astype(np.intp), columns[:, None] + whole[1].astype(np.intp)
    upper = plane[top, left] * (1.0 - aside) + plane[top, left + 1] * aside
    lower = plane[top + 1, left] * (1.0 - aside) + plane[top + 1, left + 1] * aside
    return np.asarray(upper * (1.0 - down) + lower * down)


def _fitted(profiles: Array, weights: Array) -> Array:
    """Steps of each profile under each polynomial, added in one order whatever the number of profiles."""
    total = np.zeros((len(profiles), len(weights)))
    for place in range(profiles.shape[1]):
        total += profiles[:, place, None] * weights[:, place]
    return total


@lru_cache(maxsize=16)
def _weights(blur: float) -> Array:
    """Weights of a profile's heights whose sum is the step, (polynomials, places), by least squares."""
    at = np.arange(-_REACH, _REACH + 1).astype(np.float64)
    step = ndtr(at / max(blur, 0.1))
    weights = np.zeros((len(_TERRAINS), len(at)))
    for row, (reach, order, breaks) in zip(weights, _TERRAINS, strict=True):
        part = np.abs(at) <= reach
        u = at[part] / reach
        columns = [step[part], *(u**k for k in range(order + 1))]
        if breaks:
            columns += [np.abs(u), u * np.abs(u)]
        row[part] = np.linalg.pinv(np.stack(columns, axis=1))[0]
    # Rounded, because LAPACK's last bits depend on the processor.
    return np.round(weights, 9)
