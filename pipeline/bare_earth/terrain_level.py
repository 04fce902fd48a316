"""Level and errors of a terrain model compared with a DSM, by block, from histograms of their difference.

The two differ by their realisations of a datum and by a bias, so their levels are compared on open terrain near by before
heights under canopy are. Counts are whole numbers, so windows agree whatever the order of addition.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from orograph.pipeline.bare_earth.block_lattice import BLOCK_PX, HALF_BLOCKS, BlockLattice
from orograph.pipeline.core.raster import BoolArray

Array = npt.NDArray[np.float64]

LARGEST_OFFSET_M: Final = 6.0
"""Largest difference in level between two models of the same terrain."""
PATCH_PX: Final = 50.0
"""Pixels of one independent value of the difference: its errors are correlated over about 200 m."""
_BIN_M: Final = 0.5
_REACH_M: Final = 60.0
BINS_M: Final = -_REACH_M + _BIN_M * (np.arange(round(2 * _REACH_M / _BIN_M) + 1))
"""Centres of the bins of histograms, symmetric around zero, metres."""
_KERNEL_M: Final = 2.5
"""Standard deviation of the kernel that finds the most frequent difference."""
_PRIOR_M: Final = 2.0
"""Standard deviation of the difference in level before any pixel is seen."""
_SPREAD_M: Final = 3.0
_SPREAD_PATCHES: Final = 5.0
"""Spread of differences on open terrain where none is seen, and the number of patches that outweigh it."""
_CLOSE_M: Final = 30.0
"""Difference that neither canopy nor errors of a terrain model have in most pixels."""
_STEPS: Final = 12


class Level(NamedTuple):
    """Difference in level by block, metres.

    Attributes:
        offset_m: DSM less terrain model on open terrain.
        error_m: Its standard error.
        spread_m: Standard deviation of single differences on open terrain.
        usable: 0 where most differences are so large that frames or units differ, else 1.
    """

    offset_m: Array
    error_m: Array
    spread_m: Array
    usable: Array


def level(difference_m: Array, is_open: BoolArray, lattice: BlockLattice) -> Level:
    """Find the most frequent difference on open terrain by block, starting at none.

    The mean shift stays at the first peak that it meets, so canopy in pixels that are taken as open does not raise it.

    Args:
        difference_m: DSM less terrain model, metres.
        is_open: Pixels to use: open terrain by a map, and all pixels without a class.
        lattice: Blocks under the arrays.
    """
    counts = histograms(difference_m, is_open, lattice)
    offset, spread, near = (np.zeros(counts.shape[:2]) for _ in range(3))
    for _ in range(_STEPS):
        away = np.square(BINS_M - offset[..., None])
        weights = counts * np.exp(-0.5 * away / _KERNEL_M**2)
        near = weights.sum(axis=-1)
        spread = (weights * away).sum(axis=-1) / np.maximum(near, 1e-9)
        prior = PATCH_PX * np.maximum(spread, 1.0) / _PRIOR_M**2
        offset = (weights * BINS_M).sum(axis=-1) / (near + prior)
        offset = np.clip(offset, -LARGEST_OFFSET_M, LARGEST_OFFSET_M)
    # Undo the kernel's narrowing: precisions of Gaussians add.
    variance = 1.0 / np.maximum(1.0 / np.maximum(spread, 0.25) - 1.0 / _KERNEL_M**2, 1.0 / 64.0)
    patches = near / PATCH_PX
    variance = (patches * variance + _SPREAD_PATCHES * _SPREAD_M**2) / (patches + _SPREAD_PATCHES)
    error = np.sqrt(variance / (patches + variance / _PRIOR_M**2))
    close = counts[..., np.abs(BINS_M) < _CLOSE_M].sum(axis=-1)
    usable = (close >= 0.5 * counts.sum(axis=-1)).astype(np.float64)
    return Level(offset, np.asarray(error), np.asarray(np.sqrt(variance)), usable)


def histograms(values_m: Array, used: BoolArray, lattice: BlockLattice) -> Array:
    """Count the used pixels by value over the blocks around each block: (block rows, block columns, bins)."""
    rows, columns = lattice.blocks
    row, column = (
        (np.arange(size) + before) // BLOCK_PX for size, before in zip(lattice.shape, lattice.before, strict=True)
    )
    block = row[:, None] * columns + column[None, :]
    place = np.rint((values_m[used] - BINS_M[0]) / _BIN_M)
    bins = np.clip(place, 0, BINS_M.size - 1).astype(np.intp)
    counted = np.bincount(block[used] * BINS_M.size + bins, minlength=rows * columns * BINS_M.size)
    summed = counted.astype(np.float64).reshape(rows, columns, BINS_M.size)
    taps = np.ones(2 * HALF_BLOCKS + 1)
    for axis in (0, 1):
        summed = correlate1d(summed, taps, axis=axis, mode="constant")
    return np.asarray(summed)


def above(counts: Array, offset_m: Array) -> Array:
    """Histograms of values less the offset of each block, linear between bins."""
    place = offset_m / _BIN_M
    first = np.floor(place)
    part = (place - first)[..., None]
    index = np.arange(BINS_M.size) + first[..., None].astype(np.intp)
    low, high = (np.take_along_axis(counts, np.clip(index + step, 0, BINS_M.size - 1), axis=-1) for step in (0, 1))
    return np.asarray((1.0 - part) * low + part * high)


def looked_up(table: Array, values_m: Array, lattice: BlockLattice) -> Array:
    """Value of a table by block and bin at each pixel's own value, linear between bins and between blocks."""
    place = np.clip((values_m - BINS_M[0]) / _BIN_M, 0.0, BINS_M.size - 1.001)
    first = np.floor(place).astype(np.intp)
    part = place - first
    found = np.zeros(values_m.shape)
    for number in range(int(first.min()), int(first.max()) + 2):
        weight = np.where(first == number, 1.0 - part, np.where(first + 1 == number, part, 0.0))
        if weight.any() and table[..., number].any():
            found += weight * lattice.spread(table[..., number])
    return found
