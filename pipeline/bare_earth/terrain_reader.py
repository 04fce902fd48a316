"""Read a bare-earth terrain model on the pixels of a DSM, in the DSM's vertical frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from orograph.pipeline.bare_earth.terrain_fusion import TerrainModel
from orograph.pipeline.core.grid import TILE_CRS
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.resampling.horizontal import inverse, transform
from orograph.pipeline.sources.reader import SourceGrid, SourceReader
from orograph.pipeline.sources.refs import HorizontalOperation
from orograph.pipeline.vertical import Operation
from orograph.pipeline.vertical.surface import to_degrees

Array = npt.NDArray[np.float64]

_NODE_PX: Final = 16
"""Spacing of the positions that are transformed exactly; between them they are linear to a millimetre."""
_MARGIN_PX: Final = 2


@dataclass(frozen=True, slots=True)
class TerrainReader:
    """Reads a terrain model below a DSM.

    Attributes:
        reader: Reader of the terrain model.
        horizontal: Operation from EPSG:3035 to its CRS.
        below: Operation from EPSG:3035 to the DSM's CRS.
        vertical: Operations from its vertical frame and from the DSM's to one frame.
    """

    reader: SourceReader
    horizontal: HorizontalOperation
    below: HorizontalOperation
    vertical: tuple[Operation, Operation]

    def read(
        self, lattice: SourceGrid, resolution_m: float, row: int, col: int, shape: tuple[int, int]
    ) -> TerrainModel:
        """Return the terrain model on a window of the DSM's lattice, bilinear between its pixels.

        Args:
            lattice: The DSM's lattice.
            resolution_m: Size of its pixels, metres.
            row: First row of the window.
            col: First column.
            shape: Rows and columns.
        """
        first = row // _NODE_PX, col // _NODE_PX
        counts = tuple(
            -(-(start + size) // _NODE_PX) - at + 1 for start, size, at in zip((row, col), shape, first, strict=True)
        )
        affine = lattice.scaled_affine
        x, y = np.meshgrid(
            affine.c + affine.a * (_NODE_PX * (first[1] + np.arange(counts[1])) + 0.5),
            affine.f + affine.e * (_NODE_PX * (first[0] + np.arange(counts[0])) + 0.5),
        )
        east, north = inverse(self.below, x, y)
        delta = self._delta(east, north)
        there = (
            (x, y) if self.horizontal.definition == self.below.definition else transform(self.horizontal, east, north)
        )
        inside = tuple(
            slice(start - _NODE_PX * at, start - _NODE_PX * at + size)
            for start, size, at in zip((row, col), shape, first, strict=True)
        )
        places = tuple(_between(plane)[inside] for plane in (*there, delta))
        moved = [] if self._same_frame else [operation.accuracy_m for operation in self.vertical]
        accuracy = np.float32(math.hypot(self.reader.source.accuracy_m, *moved))
        heights = self._sampled(resolution_m, places[0], places[1]) + places[2]
        return TerrainModel(heights.astype(np.float32), np.full(shape, accuracy, np.float32))

    @property
    def _same_frame(self) -> bool:
        return self.vertical[0] == self.vertical[1]

    def _delta(self, east: Array, north: Array) -> Array:
        """Metres that lead from the terrain model's vertical frame to the DSM's."""
        if self._same_frame:
            return np.zeros_like(east)
        degrees = to_degrees(TILE_CRS, east, north)
        own, below = (np.asarray(operation.shift(*degrees)) for operation in self.vertical)
        return own - below

    def _sampled(self, resolution_m: float, x: Array, y: Array) -> Array:
        """Heights at positions in the terrain model's CRS; earlier lattices have priority."""
        source = self.reader.source
        found = np.full(x.shape, np.nan)
        for native in self.reader.lattices:
            lattice = replace(native, factor=max(1, int(resolution_m / source.resolution_m + 0.05)))
            affine = lattice.scaled_affine
            rows, cols = (y - affine.f) / affine.e - 0.5, (x - affine.c) / affine.a - 0.5
            known = np.isfinite(rows) & np.isfinite(cols)
            if not known.any():
                continue
            top, left = (math.floor(part[known].min()) - _MARGIN_PX for part in (rows, cols))
            bottom, right = (math.ceil(part[known].max()) + _MARGIN_PX + 1 for part in (rows, cols))
            heights: FloatArray = self.reader.read(lattice, top, left, bottom - top, right - left)
            if np.isnan(heights).all():
                continue
            places = np.stack([np.where(known, rows - top, -1.0), np.where(known, cols - left, -1.0)])
            here = map_coordinates(heights.astype(np.float64), places, order=1, mode="constant", cval=np.nan)
            found = np.where(np.isnan(found), here, found)
        return found


def _between(nodes: Array) -> Array:
    """Values in every pixel, linear between nodes."""
    part = np.arange(_NODE_PX) / _NODE_PX
    down = nodes[:-1, None, :] * (1.0 - part[:, None]) + nodes[1:, None, :] * part[:, None]
    rows = down.reshape(-1, nodes.shape[1])
    across = rows[:, :-1, None] * (1.0 - part) + rows[:, 1:, None] * part
    return across.reshape(rows.shape[0], -1)
