"""Sums over blocks of a DSM's own lattice, the same for every window."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

Array = npt.NDArray[np.float64]

BLOCK_PX: Final = 24
"""Side of a block of the global lattice, over which sums are taken."""
HALF_BLOCKS: Final = 3
"""A block's statistics are those of 7 x 7 blocks around."""
CELL_PX: Final = 4
"""Side of a cell, the smallest unit of the sums."""


class BlockLattice:
    """Blocks of the global lattice under an array; sums are taken in one order, so windows agree.

    Args:
        shape: Rows and columns of the array.
        origin_px: Row and column of its first pixel on the global lattice.
    """

    def __init__(self, shape: tuple[int, ...], origin_px: tuple[int, int]) -> None:
        self.shape = (shape[0], shape[1])
        self.before = (origin_px[0] % BLOCK_PX, origin_px[1] % BLOCK_PX)
        self.blocks = tuple(
            -(-(before + size) // BLOCK_PX) for before, size in zip(self.before, self.shape, strict=True)
        )

    def by_cell(self, values: Array, side: int = CELL_PX) -> Array:
        """Sums over cells of `side` pixels, which divides a block's."""
        padded = np.zeros((self.blocks[0] * BLOCK_PX, self.blocks[1] * BLOCK_PX))
        rows, columns = (slice(b, b + n) for b, n in zip(self.before, self.shape, strict=True))
        padded[rows, columns] = values
        return _summed(padded, side)

    def around_cells(self, cells: Array) -> Array:
        """Sums of cells over the blocks around each block."""
        taps = np.ones(2 * HALF_BLOCKS + 1)
        blocks = _summed(cells, cells.shape[0] // self.blocks[0])
        rows = correlate1d(blocks, taps, axis=0, mode="constant")
        return np.asarray(correlate1d(rows, taps, axis=1, mode="constant"))

    def spread(self, blocks: Array) -> Array:
        """Bilinear interpolation between the blocks' centres."""
        (top, low, down), (left, right, aside) = (self._places(axis) for axis in (0, 1))
        down, aside = down[:, None], aside[None, :]
        upper = blocks[top][:, left] * (1.0 - aside) + blocks[top][:, right] * aside
        lower = blocks[low][:, left] * (1.0 - aside) + blocks[low][:, right] * aside
        return np.asarray(upper * (1.0 - down) + lower * down)

    def _places(self, axis: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], Array]:
        place = (np.arange(self.shape[axis]) + self.before[axis] + 0.5) / BLOCK_PX - 0.5
        first, last = np.floor(place).astype(np.intp), self.blocks[axis] - 1
        return np.clip(first, 0, last), np.clip(first + 1, 0, last), place - np.floor(place)


class LeastSquares(NamedTuple):
    """A regression by block.

    Attributes:
        sums: Sums by cell: products of the columns with the values, then of the columns with each other.
        places: Place of each pair of columns in `sums`.
        totals: The sums over the blocks around each block, along the last axis.
        inverse: Inverse of the normal matrix of each block.
        solved: Coefficients of each block.
    """

    sums: Array
    places: npt.NDArray[np.intp]
    totals: Array
    inverse: Array
    solved: Array


def least_squares(seen: Array, columns: list[Array], lattice: BlockLattice, side: int = CELL_PX) -> LeastSquares:
    """Regress values on columns over the blocks around each block, by sums over cells of `side` pixels."""
    count = len(columns)
    pairs = [(i, j) for i in range(count) for j in range(i, count)]
    sums = np.array(
        [lattice.by_cell(column * seen, side) for column in columns]
        + [lattice.by_cell(columns[i] * columns[j], side) for i, j in pairs]
    )
    place = {pair: count + k for k, pair in enumerate(pairs)}
    index = np.array([[place[min(i, j), max(i, j)] for j in range(count)] for i in range(count)])
    totals = np.moveaxis(np.array([lattice.around_cells(part) for part in sums]), 0, -1)
    inverse = np.asarray(np.linalg.inv(totals[..., index] + 1e-3 * np.eye(count)), np.float64)
    solved = np.einsum("rcij,rcj->rci", inverse, totals[..., :count])
    return LeastSquares(sums, index, totals, inverse, solved)


def _summed(values: Array, side: int) -> Array:
    """Sums over squares, added in one order whatever the array's size."""
    blocks = values.reshape(values.shape[0] // side, side, values.shape[1] // side, side)
    total = np.zeros((blocks.shape[0], blocks.shape[2]))
    for row in range(side):
        for column in range(side):
            total += blocks[:, row, :, column]
    return total
