"""The node grid that maps target pixels to a source: coordinates, coregistration shift and vertical delta.

Nodes are spaced 250 m in EPSG:3035, at multiples of 250 m, so every tile and window sees the same ones. Between nodes,
values are bilinear: over 250 m a projection deviates from this by about a millimetre, a geoid by less than two
(verified for each operation by `orograph.pipeline.vertical`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.grid import TILE_CRS, PixelWindow
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.resampling.horizontal import transform
from orograph.pipeline.resampling.kernel import regrid
from orograph.pipeline.sources.reader import SourceGrid
from orograph.pipeline.sources.refs import HorizontalOperation

NODE_SPACING_M: Final = 250.0
_KERNEL_MARGIN_PX: Final = 3

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NodeGrid:
    """Nodes around a rectangle; `row0` counts southwards from the CRS's origin, so it is negative in Europe."""

    row0: int
    col0: int
    rows: int
    cols: int
    spacing_m: float = NODE_SPACING_M

    @classmethod
    def around(cls, bounds_m: tuple[float, float, float, float], spacing_m: float = NODE_SPACING_M) -> NodeGrid:
        """The nodes that enclose west, south, east, north (metres of EPSG:3035)."""
        west, south, east, north = (value / spacing_m for value in bounds_m)
        row0, col0 = math.floor(-north), math.floor(west)
        return cls(row0, col0, math.ceil(-south) - row0 + 2, math.ceil(east) - col0 + 2, spacing_m)

    @property
    def extent(self) -> GeoBox:
        """A raster whose pixel corners are the nodes: the extent of a delta surface with these nodes."""
        size = self.spacing_m
        affine = Affine(size, 0, self.col0 * size, 0, -size, -self.row0 * size)
        return GeoBox((self.rows - 1, self.cols - 1), affine, TILE_CRS)

    @property
    def geobox(self) -> GeoBox:
        """A raster whose pixel centres are the nodes."""
        size = self.spacing_m
        affine = Affine(size, 0, (self.col0 - 0.5) * size, 0, -size, -(self.row0 - 0.5) * size)
        return GeoBox((self.rows, self.cols), affine, TILE_CRS)

    def coordinates(self) -> tuple[Float64Array, Float64Array]:
        """Easting and northing of every node, float64 (rows, cols)."""
        north = -(self.row0 + np.arange(self.rows, dtype=np.float64)) * self.spacing_m
        east = (self.col0 + np.arange(self.cols, dtype=np.float64)) * self.spacing_m
        return np.broadcast_to(east, (self.rows, self.cols)).copy(), np.repeat(north[:, None], self.cols, axis=1)


@dataclass(frozen=True, slots=True)
class Target:
    """A window of the global target grid: pixel size, first row and column counted from the CRS's origin, shape."""

    pixel_size_m: float
    row: int
    col: int
    rows: int
    cols: int

    @classmethod
    def of(cls, geobox: GeoBox) -> Target:
        """The window of a north-up EPSG:3035 geobox; its corner must be a pixel corner of the global grid."""
        size = abs(geobox.affine.a)
        rows, cols = geobox.shape.shape
        return cls(size, round(-geobox.affine.f / size), round(geobox.affine.c / size), rows, cols)

    def grown(self, by: int) -> Target:
        """The window widened by `by` pixels on each side."""
        return Target(self.pixel_size_m, self.row - by, self.col - by, self.rows + 2 * by, self.cols + 2 * by)

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres."""
        size = self.pixel_size_m
        return self.col * size, -(self.row + self.rows) * size, (self.col + self.cols) * size, -self.row * size


@dataclass(frozen=True, slots=True, eq=False)
class NodeMapping:
    """Positions of nodes in a source's CRS, and the height offsets there.

    Attributes:
        nodes: The nodes.
        x, y: float64 (rows, cols), coordinates in the source's CRS; NaN where its operation is not defined.
        delta_m: float64 (rows, cols), metres added to heights; NaN where they must not be transformed.
    """

    nodes: NodeGrid
    x: Float64Array
    y: Float64Array
    delta_m: Float64Array

    @classmethod
    def build(
        cls,
        nodes: NodeGrid,
        operation: HorizontalOperation,
        delta_m: npt.ArrayLike = 0.0,
        shift_m: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike] = (0.0, 0.0, 0.0),
    ) -> NodeMapping:
        """Compute the lattice.

        Args:
            nodes: The nodes.
            operation: EPSG:3035 to the source's CRS.
            delta_m: Vertical operation at the nodes, metres.
            shift_m: Displacement east, north, up in metres, numbers or node arrays, in coregistration's convention:
                aligned(x) = source(x - east, y - north) + up.
        """
        east, north = nodes.coordinates()
        shift_east, shift_north, shift_up = shift_m
        x, y = transform(operation, east - np.asarray(shift_east), north - np.asarray(shift_north))
        delta = np.broadcast_to(np.asarray(delta_m, np.float64) + np.asarray(shift_up, np.float64), x.shape)
        return cls(nodes, x, y, np.ascontiguousarray(delta))

    def around(self, target: Target) -> NodeMapping:
        """The nodes that enclose a target window, which must be inside the mapping."""
        part = NodeGrid.around(target.bounds_m, self.nodes.spacing_m)
        top, left = part.row0 - self.nodes.row0, part.col0 - self.nodes.col0
        if top < 0 or left < 0 or top + part.rows > self.nodes.rows or left + part.cols > self.nodes.cols:
            raise ConfigError(f"window {target} reaches beyond the lattice of its tile")
        cut = slice(top, top + part.rows), slice(left, left + part.cols)
        return NodeMapping(part, *(np.ascontiguousarray(a[cut]) for a in (self.x, self.y, self.delta_m)))

    def indices(self, lattice: SourceGrid, zoom: int = 1) -> tuple[Float64Array, Float64Array]:
        """Fractional row and column of each node on a lattice magnified `zoom` times; centres at whole numbers."""
        ratio = zoom / lattice.factor
        cols = (self.x - lattice.affine.c) / lattice.affine.a * ratio - 0.5
        rows = (self.y - lattice.affine.f) / lattice.affine.e * ratio - 0.5
        return rows, cols


def window_needed(
    indices: tuple[Float64Array, Float64Array], scale: float, within: tuple[int, ...]
) -> PixelWindow | None:
    """The part of a lattice that the nodes enclose, with the kernel's margin, clipped to the available data.

    Args:
        indices: Fractional rows and columns of the nodes around a target window.
        scale: Width of the kernel in lattice pixels.
        within: First row, first column, end row, end column of the lattice's data.
    """
    rows, cols = indices
    if not np.isfinite(rows).any():
        return None
    margin = math.ceil(2 * scale) + _KERNEL_MARGIN_PX
    row0, row1 = math.floor(np.nanmin(rows)) - margin, math.ceil(np.nanmax(rows)) + margin + 1
    col0, col1 = math.floor(np.nanmin(cols)) - margin, math.ceil(np.nanmax(cols)) + margin + 1
    row0, col0, row1, col1 = max(row0, within[0]), max(col0, within[1]), min(row1, within[2]), min(col1, within[3])
    if row0 >= row1 or col0 >= col1:
        return None
    return PixelWindow(row0, col0, row1 - row0, col1 - col0)


def resample(
    heights_m: FloatArray,
    origin: PixelWindow,
    mapping: NodeMapping,
    indices: tuple[Float64Array, Float64Array],
    target: Target,
    scale: float,
    *,
    with_delta: bool = True,
) -> FloatArray:
    """Heights of a lattice window on a target window, metres; see `orograph.pipeline.resampling.kernel.regrid`."""
    deltas = mapping.delta_m if with_delta else np.zeros_like(mapping.delta_m)
    return regrid(
        heights_m,
        row0=origin.row,
        col0=origin.col,
        node_rows=indices[0],
        node_cols=indices[1],
        node_deltas=deltas,
        lattice_row0=mapping.nodes.row0,
        lattice_col0=mapping.nodes.col0,
        nodes_per_px=target.pixel_size_m / mapping.nodes.spacing_m,
        first_row=target.row,
        first_col=target.col,
        out_rows=target.rows,
        out_cols=target.cols,
        scale_y=scale,
        scale_x=scale,
    )
