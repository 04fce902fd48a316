"""Bend a lesser source to meet a better one: a smooth correction through their differences, without creases.

Taking each pixel's difference from its nearest place in the better source is exact at the rim but leaves a crease where
the nearest place jumps: along the middle of a hole, and at every corner. So the differences are averaged in small cells
of a lattice that is fixed in the CRS, and every cell near the rim gets their mean weighted by inverse squared distance
with compact support (Franke and Little's modified Shepard weights). Cells, order of sums and reach are the same in
every window, so windows and tiles agree bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.raster import BoolArray, FloatArray

CELLS_IN_WIDTH: Final = 10
REACH_IN_WIDTHS: Final = 1.25

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bend:
    """Position of the lattice of cells, in pixels counted from the CRS's origin, so that it is the same everywhere.

    Attributes:
        row_0, col_0: Absolute row and column of the window's first pixel; rows grow southwards.
        cell_px: Side of a cell.
        reach: Radius of the weights, cells.
    """

    row_0: int
    col_0: int
    cell_px: int
    reach: int

    @classmethod
    def of(cls, width_px: float, origin: tuple[int, int]) -> Bend:
        """The lattice for a blend's width in pixels; `origin` is the window's absolute first row and column."""
        cell_px = max(1, round(width_px / CELLS_IN_WIDTH))
        return cls(*origin, cell_px, math.ceil(REACH_IN_WIDTHS * width_px / cell_px) + 2)

    @property
    def halo_px(self) -> int:
        """Reach of the bend around a pixel."""
        return (self.reach + 2) * self.cell_px

    def surface(self, difference_m: FloatArray, known: BoolArray, wanted: BoolArray) -> FloatArray:
        """Interpolate a smooth correction through differences.

        Args:
            difference_m: float32, better source minus lesser source, metres.
            known: True where there is a difference.
            wanted: True where the correction is wanted; within the reach of known pixels.

        Returns:
            float32 of the same shape; NaN where not wanted or out of reach.
        """
        rows, cols = known.shape
        cell_rows = (self.row_0 + np.arange(rows)) // self.cell_px - self.row_0 // self.cell_px
        cell_cols = (self.col_0 + np.arange(cols)) // self.cell_px - self.col_0 // self.cell_px
        shape = int(cell_rows[-1]) + 1, int(cell_cols[-1]) + 1
        sums, counts, asked = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.bool_)
        _gather(difference_m, known, wanted, cell_rows, cell_cols, sums, counts, asked)
        lattice = np.full(shape, np.nan)
        _shepard(sums, counts, asked, self._weights(), lattice)
        surface = np.full(known.shape, np.nan, np.float32)
        at_rows, at_cols = self._places(self.row_0, rows), self._places(self.col_0, cols)
        _interpolate(lattice, wanted, *at_rows, *at_cols, surface)
        return surface

    def _places(self, first: int, count: int) -> tuple[npt.NDArray[np.int64], Doubles]:
        """Index of the cell whose centre comes before each pixel's centre, and the fraction to the next."""
        place = (first + np.arange(count) + 0.5) / self.cell_px - 0.5
        before = np.floor(place)
        return before.astype(np.int64) - first // self.cell_px, place - before

    def _weights(self) -> Doubles:
        """Modified Shepard weights by distance in cells: (1/r - 1/reach)^2 inside the reach, r at least half a cell."""
        along = np.arange(-self.reach, self.reach + 1, dtype=np.float64)
        distance = np.hypot(along[:, None], along[None, :])
        weights: Doubles = np.clip(1 / np.maximum(distance, 0.5) - 1 / self.reach, 0, None) ** 2
        return weights


@compiled
def _gather(
    difference: Any, known: Any, wanted: Any, cell_rows: Any, cell_cols: Any, sums: Any, counts: Any, asked: Any
) -> None:  # pragma: no cover - compiled
    """Sum differences by cell, and mark the cells needed to interpolate at the requested pixels."""
    rows, cols = sums.shape
    for i in range(known.shape[0]):
        r = cell_rows[i]
        for j in range(known.shape[1]):
            c = cell_cols[j]
            if known[i, j]:
                sums[r, c] += difference[i, j]
                counts[r, c] += 1.0
            if wanted[i, j]:
                for a in range(max(r - 1, 0), min(r + 2, rows)):
                    for b in range(max(c - 1, 0), min(c + 2, cols)):
                        asked[a, b] = True


@compiled
def _shepard(sums: Any, counts: Any, asked: Any, weights: Any, lattice: Any) -> None:  # pragma: no cover - compiled
    """Weighted means of cells, always summed in the same order; a cell's weight grows with the pixels in it."""
    rows, cols = sums.shape
    reach = weights.shape[0] // 2
    for i in range(rows):
        for j in range(cols):
            if not asked[i, j]:
                continue
            total, mass = 0.0, 0.0
            for a in range(max(i - reach, 0), min(i + reach + 1, rows)):
                for b in range(max(j - reach, 0), min(j + reach + 1, cols)):
                    if counts[a, b] > 0.0:
                        weight = weights[a - i + reach, b - j + reach]
                        total += weight * sums[a, b]
                        mass += weight * counts[a, b]
            if mass > 0.0:
                lattice[i, j] = total / mass


@compiled
def _interpolate(
    lattice: Any, wanted: Any, row: Any, row_part: Any, col: Any, col_part: Any, surface: Any
) -> None:  # pragma: no cover - compiled
    """Interpolate bilinearly between cell centres; centres out of reach are ignored."""
    rows, cols = lattice.shape
    for i in range(wanted.shape[0]):
        for j in range(wanted.shape[1]):
            if not wanted[i, j]:
                continue
            total, mass = 0.0, 0.0
            for a in range(2):
                for b in range(2):
                    r, c = row[i] + a, col[j] + b
                    if r < 0 or c < 0 or r >= rows or c >= cols or np.isnan(lattice[r, c]):
                        continue
                    weight = (row_part[i] if a else 1.0 - row_part[i]) * (col_part[j] if b else 1.0 - col_part[j])
                    total += weight * lattice[r, c]
                    mass += weight
            if mass > 0.0:
                surface[i, j] = total / mass
