"""Shifts of one operation over a raster of any extent, evaluated window by window.

The lattice of `delta_surface` spans the whole extent at once, which is right for a tile and far too much for a
continent: 75 GB for the globe. Here only the nodes around a window exist at a time. Rasters whose pixels are coarser
than the lattice are evaluated at their pixel centres, without a lattice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import SourceGridError, VerticalError
from orograph.pipeline.manifest import OperationRecord
from orograph.pipeline.vertical.operation import DegreeArray, Operation
from orograph.pipeline.vertical.surface import (
    CHECK_POINTS,
    MARGIN,
    METRES_PER_DEGREE,
    DeltaSurface,
    record_of,
    to_degrees,
)

SPACING_M: Final = 250.0
_HALVINGS: Final = 2
_POINTS_AT_ONCE: Final = 250_000


@dataclass(slots=True)
class WindowedShift:
    """Shifts of an operation on the pixels of a raster, of which only a window is in memory.

    Attributes:
        operation: A pinned operation.
        whole: Grid of the raster.
        step_x, step_y: Distance of the lattice's nodes eastwards and southwards, CRS units; 0 without a lattice.
        error_m: Largest difference from the operation at the points checked; 0 without a lattice.
    """

    operation: Operation
    whole: GeoBox
    step_x: float
    step_y: float
    error_m: float
    _low: float = field(default=math.inf)
    _high: float = field(default=-math.inf)

    @classmethod
    def of(cls, operation: Operation, whole: GeoBox) -> WindowedShift:
        """Choose the spacing of nodes: the lattice is halved, up to twice, until 10,000 random points are within tolerance.

        Raises:
            VerticalError: the tolerance cannot be met.
            GridMissing, GridCorrupt: as `Operation.shift`.
        """
        if whole.crs is None:
            raise SourceGridError("shifts over a grid without a CRS")
        for halving in range(_HALVINGS + 1):
            spacing_m = SPACING_M / 2**halving
            step_x = step_y = spacing_m
            if whole.crs.geographic:
                box = whole.boundingbox
                step_y = spacing_m / METRES_PER_DEGREE
                step_x = step_y / max(math.cos(math.radians((box.bottom + box.top) / 2)), 0.05)
            if abs(whole.affine.a) >= step_x:
                return cls(operation, whole, 0.0, 0.0, 0.0)
            made = cls(operation, whole, step_x, step_y, math.nan)
            made.error_m = made._largest_error()
            if made.error_m <= operation.surface_tolerance_m * (MARGIN if halving < _HALVINGS else 1.0):
                return made
        raise VerticalError(
            f"delta surface of {operation.id} misses the operation by {made.error_m * 1000:.1f} mm,"
            f" the limit is {operation.surface_tolerance_m * 1000:g} mm",
            remedy="use a smaller lattice spacing",
        )

    def add_to(self, heights_m: FloatArray, window: GeoBox) -> None:
        """Add the shifts to heights in place.

        Args:
            heights_m: float32 on the window's grid, metres, NaN void; becomes NaN outside the operation's area.
            window: Part of the raster's grid.
        """
        if np.isnan(heights_m).all():
            return
        if self.step_x == 0:
            self._add_directly(heights_m, window)
            return
        surface = self._nodes_around(window)
        self._widen(surface.nodes_m)
        surface.add_to(heights_m, window)

    def record(self, source_id: str) -> OperationRecord:
        """The record of this operation on a source; its shifts are the extremes of the windows so far."""
        extremes = np.array([self._low, self._high])
        return record_of(self.operation, source_id, extremes[np.isfinite(extremes)])

    def _add_directly(self, heights_m: FloatArray, window: GeoBox) -> None:
        rows, cols = window.shape.shape
        affine = window.affine
        x = affine.c + affine.a * (np.arange(cols) + 0.5)
        at_once = max(1, _POINTS_AT_ONCE // cols)
        for row in range(0, rows, at_once):
            part = heights_m[row : row + at_once]
            if np.isnan(part).all():
                continue
            y = affine.f + affine.e * (row + np.arange(part.shape[0]) + 0.5)
            shifts = self.operation.shift(*to_degrees(str(self.whole.crs), *np.meshgrid(x, y)))
            self._widen(shifts)
            part += shifts.astype(np.float32)

    def _nodes_around(self, window: GeoBox) -> DeltaSurface:
        """The nodes that enclose a window; they are those of the whole raster's lattice."""
        box, origin = window.boundingbox, self.whole.boundingbox
        col = math.floor((box.left - origin.left) / self.step_x)
        row = math.floor((origin.top - box.top) / self.step_y)
        cols = math.ceil((box.right - origin.left) / self.step_x) - col + 2
        rows = math.ceil((origin.top - box.bottom) / self.step_y) - row + 2
        x_0, y_0 = origin.left + col * self.step_x, origin.top - row * self.step_y
        nodes = np.empty((rows, cols))
        x = x_0 + self.step_x * np.arange(cols)
        at_once = max(1, _POINTS_AT_ONCE // cols)
        for first in range(0, rows, at_once):
            y = y_0 - self.step_y * np.arange(first, min(first + at_once, rows))
            nodes[first : first + at_once] = self.operation.shift(*to_degrees(str(self.whole.crs), *np.meshgrid(x, y)))
        return DeltaSurface(
            self.operation, str(self.whole.crs), x_0, y_0, self.step_x, self.step_y, nodes, self.error_m
        )

    def _largest_error(self) -> float:
        """Largest difference of the lattice from the operation at random points; the same points every time."""
        box, largest = self.whole.boundingbox, 0.0
        generator = np.random.default_rng(20_070_101)
        x = box.left + (box.right - box.left) * generator.random(CHECK_POINTS)
        y = box.bottom + (box.top - box.bottom) * generator.random(CHECK_POINTS)
        east, north = (x - box.left) / self.step_x, (box.top - y) / self.step_y
        col, row = np.floor(east), np.floor(north)
        exact, between = self._shift(x, y), np.zeros(x.size)
        for down, right, weight in _corners(north - row, east - col):
            between += weight * self._shift(
                box.left + (col + right) * self.step_x, box.top - (row + down) * self.step_y
            )
        apart = np.abs(between - exact)
        known = apart[np.isfinite(apart)]
        return max(largest, float(known.max())) if known.size else largest

    def _shift(self, x: DegreeArray, y: DegreeArray) -> DegreeArray:
        return self.operation.shift(*to_degrees(str(self.whole.crs), x, y))

    def _widen(self, shifts: DegreeArray) -> None:
        known = shifts[np.isfinite(shifts)]
        if known.size:
            self._low, self._high = min(self._low, float(known.min())), max(self._high, float(known.max()))


def _corners(down: DegreeArray, right: DegreeArray) -> Iterator[tuple[int, int, DegreeArray]]:
    """Bilinear weights of a cell's four corners."""
    for below in (0, 1):
        for beside in (0, 1):
            yield below, beside, (down if below else 1 - down) * (right if beside else 1 - right)
