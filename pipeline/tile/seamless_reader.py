"""Reads a source with several pixel grids; continues each grid beyond its edge with heights of the others.

The longitude spacing of GLO-30 changes at 50, 60, 70 and 80 degrees of latitude. Interpolated alone, each grid would be
extrapolated up to its own rim, by up to a metre on steep slopes. Here a window that reaches beyond the files of its
grid contains the heights of the other grids, interpolated at its own pixel centres; so kernels and networks have
samples on both sides. Which target pixels a grid gives is still decided by its own files: `own` marks them.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from affine import Affine

from orograph.pipeline.core.raster import BoolArray, FloatArray
from orograph.pipeline.resampling.kernel import cubic_mesh
from orograph.pipeline.sources.reader import SourceGrid, SourceReader

_KERNEL_PX: Final = 3


class SeamlessReader(SourceReader):
    """A reader of sources with one or several pixel grids; see `SourceReader`."""

    @property
    def is_divided(self) -> bool:
        """Whether the files have more than one pixel grid."""
        return len(self.lattices) > 1

    def own(self, lattice: SourceGrid, row: int, col: int, height: int, width: int) -> BoolArray:
        """True on the pixels of a lattice window that the lattice's own files cover."""
        k = lattice.factor
        covered = np.zeros((height, width), np.bool_)
        for member in lattice.members:
            top, left = member.row // k - row, member.col // k - col
            bottom = -(-(member.row + member.header.shape[0]) // k) - row
            right = -(-(member.col + member.header.shape[1]) // k) - col
            covered[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
        return covered

    def _read_native(self, lattice: SourceGrid, row: int, col: int, height: int, width: int) -> FloatArray:
        heights = super()._read_native(lattice, row, col, height, width)
        if not self.is_divided:
            return heights
        native = SourceGrid(lattice.affine, lattice.members)
        beyond = ~self.own(native, row, col, height, width)
        if not beyond.any():
            return heights
        rows, cols = np.flatnonzero(beyond.any(axis=1)), np.flatnonzero(beyond.any(axis=0))
        part = (slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1))
        for other in self.lattices:
            if other.affine == lattice.affine:
                continue
            fill = beyond[part] & np.isnan(heights[part])
            if not fill.any():
                break
            found = self._at(other, lattice.affine, row + int(rows[0]), col + int(cols[0]), fill.shape)
            if found is not None:
                np.copyto(heights[part], found, where=fill)
        return heights

    def _at(self, other: SourceGrid, affine: Affine, row: int, col: int, shape: tuple[int, int]) -> FloatArray | None:
        """Heights of another grid at pixel centres of this one; None if it has no file there."""
        v = ((affine.f - other.affine.f) + affine.e * (row + np.arange(shape[0]) + 0.5)) / other.affine.e - 0.5
        u = ((affine.c - other.affine.c) + affine.a * (col + np.arange(shape[1]) + 0.5)) / other.affine.a - 0.5
        # Grids whose rows coincide stay exact along columns; rounding must not mix in a row beyond the rim.
        v, u = _snapped(v), _snapped(u)
        top, left, bottom, right = SourceGrid(other.affine, other.members).index_bounds
        row0, row1 = math.floor(v[0]) - _KERNEL_PX, math.ceil(v[-1]) + _KERNEL_PX + 1
        col0, col1 = math.floor(u[0]) - _KERNEL_PX, math.ceil(u[-1]) + _KERNEL_PX + 1
        if row0 >= bottom or row1 <= top or col0 >= right or col1 <= left:
            return None
        heights = super()._read_native(other, row0, col0, row1 - row0, col1 - col0)
        if np.isnan(heights).all():
            return None
        found: FloatArray = cubic_mesh(heights, v - row0, u - col0)
        return found


def _snapped(indices: np.ndarray) -> np.ndarray:
    nearest = np.rint(indices)
    return np.where(np.abs(indices - nearest) < 1e-6, nearest, indices)
