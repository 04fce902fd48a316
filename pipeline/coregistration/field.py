"""Displacement fields: polynomials of place plus an optional lattice, in metres.

The convention everywhere: reference(x) = moving(x - (east, north)) + up.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.coregistration import kernels
from orograph.pipeline.coregistration.threads import in_bands
from orograph.pipeline.errors import CoregistrationError, SourceGridError

Array = npt.NDArray[Any]
MONOMIALS: Final = 6


def _no_lattice() -> Array:
    return np.zeros((3, 0, 0))


@dataclass(frozen=True, slots=True, eq=False)
class DisplacementField:
    """Displacement in metres over a grid.

    Attributes:
        geobox: The grid the field is anchored to; a projected, north-up one.
        polynomial: float64 (3, 6): east, north, up by the monomials 1, u, v, u2, uv, v2 of u and v in -1..1 over the
            grid, u growing eastwards and v southwards.
        lattice: float64 (3, rows, columns): values at the centres of equal blocks of the grid, bilinear between,
            constant beyond half a block outside; no rows when there is none.
    """

    geobox: GeoBox
    polynomial: Array = field(default_factory=lambda: np.zeros((3, MONOMIALS)))
    lattice: Array = field(default_factory=_no_lattice)

    def __post_init__(self) -> None:
        require_metric(self.geobox)
        if self.polynomial.shape != (3, MONOMIALS) or self.lattice.ndim != 3 or self.lattice.shape[0] != 3:
            raise CoregistrationError(f"field of shapes {self.polynomial.shape} and {self.lattice.shape}")

    @property
    def mean_m(self) -> tuple[float, float, float]:
        """East, north and up displacement averaged over the grid."""
        p = self.polynomial
        means = p[:, 0] + (p[:, 3] + p[:, 5]) / 3.0
        if self.lattice.size:
            means = means + self.lattice.mean(axis=(1, 2))
        return float(means[0]), float(means[1]), float(means[2])

    @property
    def largest_horizontal_m(self) -> float:
        """Longest horizontal displacement at the corners, the centre and the lattice's nodes."""
        places = np.array([(u, v) for u in (-1.0, 0.0, 1.0) for v in (-1.0, 0.0, 1.0)])
        east, north, _ = self.polynomial @ monomials(places[:, 0], places[:, 1]).T
        longest = float(np.hypot(east, north).max())
        return longest + (float(np.hypot(self.lattice[0], self.lattice[1]).max()) if self.lattice.size else 0.0)

    def with_polynomial(self, polynomial: Array) -> Self:
        """The same field with other coefficients."""
        return replace(self, polynomial=polynomial)

    def with_lattice(self, lattice: Array) -> Self:
        """The same field with another lattice."""
        return replace(self, lattice=lattice)

    def on(self, geobox: GeoBox, *, threads: int = 1) -> tuple[FloatArray, FloatArray, FloatArray]:
        """East, north and up displacement (metres, float32) at the pixel centres of a grid of the same CRS."""
        out = np.empty((3, *geobox.shape.shape), np.float32)
        geometry = geometry_of(geobox, self.geobox, geobox)
        arguments = (geometry, self.polynomial, self.lattice)
        in_bands(lambda a, b: kernels.evaluate(*arguments, a, b, out), geobox.shape.y, threads)
        return out[0], out[1], out[2]


def monomials(u: Array, v: Array) -> Array:
    """The six monomials at places, shape (places, 6)."""
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)


def crs_of(geobox: GeoBox) -> CRS:
    """The grid's CRS.

    Raises:
        SourceGridError: it has none.
    """
    if geobox.crs is None:
        raise SourceGridError("coregistration needs a horizontal CRS")
    return geobox.crs


def require_metric(geobox: GeoBox) -> None:
    """Refuse grids on which metres east and north are not plain pixels.

    Raises:
        SourceGridError: no CRS, a geographic one, or a grid that is not north up.
    """
    if crs_of(geobox).geographic:
        raise SourceGridError(
            f"coregistration on {geobox.crs} would measure shifts in degrees",
            remedy="bring both rasters to a projected CRS, such as EPSG:3035; `prepare_pair` does",
        )
    affine = geobox.affine
    if affine.b or affine.d or affine.a <= 0 or affine.e >= 0:
        raise SourceGridError(f"coregistration needs north-up grids, not {tuple(affine)[:6]}")


def geometry_of(working: GeoBox, anchor: GeoBox, sampled: GeoBox) -> Array:
    """Twelve numbers for the kernels: working pixels in the anchor and in the sampled grid, pixels a metre, anchor shape.

    Raises:
        SourceGridError: the three are not in one projected CRS, north up.
    """
    for geobox in (working, anchor, sampled):
        require_metric(geobox)
        if geobox.crs != working.crs:
            raise SourceGridError(
                f"grids in {working.crs} and {geobox.crs}", remedy="`prepare_pair` brings them together"
            )
    numbers: list[float] = []
    from_grid = working.affine
    for geobox in (anchor, sampled):
        # Affines count from pixel corners, the kernels from pixel centres.
        to_grid = geobox.affine
        rows, cols = from_grid.e / to_grid.e, from_grid.a / to_grid.a
        row = (from_grid.f - to_grid.f) / to_grid.e + 0.5 * rows - 0.5
        col = (from_grid.c - to_grid.c) / to_grid.a + 0.5 * cols - 0.5
        numbers += [row, rows, col, cols]
    scale = [1.0 / sampled.affine.a, -1.0 / sampled.affine.e]
    return np.array([*numbers, *scale, anchor.shape.y, anchor.shape.x], float)
