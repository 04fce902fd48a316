"""Displacement fields: polynomials of position plus an optional lattice, in metres.

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
from orograph.pipeline.coregistration.cpu_kernels import cpu_kernels
from orograph.pipeline.coregistration.threads import in_bands
from orograph.pipeline.coregistration.waves import Wave, sampled_shape
from orograph.pipeline.errors import CoregistrationError, SourceGridError

Array = npt.NDArray[Any]
MONOMIALS: Final = 6
_DECIMALS: Final = 6


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
            constant beyond half a block outside; zero rows without a lattice.
        waves: Plane waves on top, see `waves.py`.
    """

    geobox: GeoBox
    polynomial: Array = field(default_factory=lambda: np.zeros((3, MONOMIALS)))
    lattice: Array = field(default_factory=_no_lattice)
    waves: tuple[Wave, ...] = ()
    _sampled: dict[tuple[int, int], Array] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        require_metric(self.geobox)
        if self.polynomial.shape != (3, MONOMIALS) or self.lattice.ndim != 3 or self.lattice.shape[0] != 3:
            raise CoregistrationError(f"field of shapes {self.polynomial.shape} and {self.lattice.shape}")

    @property
    def mean_m(self) -> tuple[float, float, float]:
        """East, north and up displacement averaged over the grid, without waves: over whole periods these average to zero."""
        p = self.polynomial
        means = p[:, 0] + (p[:, 3] + p[:, 5]) / 3.0
        if self.lattice.size:
            means = means + self.lattice.mean(axis=(1, 2))
        return float(means[0]), float(means[1]), float(means[2])

    @property
    def still(self) -> bool:
        """Whether the field moves nothing."""
        return not (self.waves or self.polynomial.any() or self.lattice.any())

    @property
    def largest_horizontal_m(self) -> float:
        """Longest horizontal displacement at the corners, the centre and the lattice's nodes."""
        places = np.array([(u, v) for u in (-1.0, 0.0, 1.0) for v in (-1.0, 0.0, 1.0)])
        east, north, _ = self.polynomial @ monomials(places[:, 0], places[:, 1]).T
        longest = float(np.hypot(east, north).max())
        longest += sum(float(np.hypot(*wave.amplitude_m[:2])) for wave in self.waves)
        return longest + (float(np.hypot(self.lattice[0], self.lattice[1]).max()) if self.lattice.size else 0.0)

    @property
    def nodes(self) -> Array:
        """The lattice with the waves sampled into it, as the kernels read it; finer if the waves need it."""
        if not self.waves:
            return self.lattice
        affine, (height, width) = self.geobox.affine, self.geobox.shape.shape
        extent = abs(affine.e) * height, affine.a * width
        shape = sampled_shape(self.waves, extent, (self.lattice.shape[1], self.lattice.shape[2]))
        if shape not in self._sampled:
            north = (0.5 - (np.arange(shape[0]) + 0.5) / shape[0]) * extent[0]
            east = ((np.arange(shape[1]) + 0.5) / shape[1] - 0.5) * extent[1]
            self._sampled[shape] = np.sum([wave.at(east[None, :], north[:, None]) for wave in self.waves], axis=0)
        return self._sampled[shape] + refined(self.lattice, shape) if self.lattice.size else self._sampled[shape]

    def with_polynomial(self, polynomial: Array) -> Self:
        """The same field with other coefficients."""
        return replace(self, polynomial=polynomial)

    def with_lattice(self, lattice: Array) -> Self:
        """The same field with another lattice."""
        return replace(self, lattice=lattice)

    def with_waves(self, waves: tuple[Wave, ...]) -> Self:
        """The same field with other waves."""
        return replace(self, waves=waves, _sampled={})

    def at(self, east_m: Array, north_m: Array) -> Array:
        """Displacement (3, ...) in metres at points in the grid's CRS, float64."""
        affine, (height, width) = self.geobox.affine, self.geobox.shape.shape
        u = 2.0 * (east_m - affine.c) / (affine.a * width) - 1.0
        v = 2.0 * (north_m - affine.f) / (affine.e * height) - 1.0
        moves = np.moveaxis(monomials(u, v) @ self.polynomial.T, -1, 0)
        nodes = self.nodes
        if not nodes.size:
            return moves
        rows, cols = nodes.shape[1:]
        y = np.clip((v + 1.0) * 0.5 * rows - 0.5, -0.5, rows - 0.5)
        x = np.clip((u + 1.0) * 0.5 * cols - 0.5, -0.5, cols - 0.5)
        i = np.clip(np.floor(y).astype(int), 0, max(rows - 2, 0))
        j = np.clip(np.floor(x).astype(int), 0, max(cols - 2, 0))
        s, t = (y - i if rows > 1 else 0.0 * y), (x - j if cols > 1 else 0.0 * x)
        below, right = np.minimum(i + 1, rows - 1), np.minimum(j + 1, cols - 1)
        upper = nodes[:, i, j] * (1.0 - t) + nodes[:, i, right] * t
        lower = nodes[:, below, j] * (1.0 - t) + nodes[:, below, right] * t
        return moves + upper * (1.0 - s) + lower * s

    def rounded(self) -> Self:
        """Round the field to a micrometre: a solver's last bits depend on the processor."""
        return replace(
            self,
            polynomial=np.round(self.polynomial, _DECIMALS),
            lattice=np.round(self.lattice, _DECIMALS),
            waves=tuple(wave.rounded() for wave in self.waves),
            _sampled={},
        )

    def on(self, geobox: GeoBox, *, threads: int = 1) -> tuple[FloatArray, FloatArray, FloatArray]:
        """East, north and up displacement (metres, float32) at the pixel centres of a grid of the same CRS."""
        out = np.empty((3, *geobox.shape.shape), np.float32)
        geometry = geometry_of(geobox, self.geobox, geobox)
        arguments = (geometry, self.polynomial, self.nodes)
        evaluate = cpu_kernels().evaluate
        in_bands(lambda a, b: evaluate(*arguments, a, b, out), geobox.shape.y, threads)
        return out[0], out[1], out[2]


def monomials(u: Array, v: Array) -> Array:
    """The six monomials at points, shape (points, 6)."""
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v], axis=-1)


def refined(lattice: Array, shape: tuple[int, int]) -> Array:
    """Evaluate a lattice (3, rows, columns) at the nodes of another shape over the same grid, bilinear."""
    weights = []
    for size, nodes in zip(shape, lattice.shape[1:], strict=True):
        place = np.clip((np.arange(size) + 0.5) * nodes / size - 0.5, -0.5, nodes - 0.5)
        left = np.clip(np.floor(place).astype(int), 0, max(nodes - 2, 0))
        part = place - left if nodes > 1 else np.zeros(size)
        table = np.zeros((size, nodes))
        table[np.arange(size), left] = 1.0 - part
        table[np.arange(size), np.minimum(left + 1, nodes - 1)] += part
        weights.append(table)
    return weights[0] @ lattice @ weights[1].T


def crs_of(geobox: GeoBox) -> CRS:
    """The grid's CRS.

    Raises:
        SourceGridError: the grid has no CRS.
    """
    if geobox.crs is None:
        raise SourceGridError("coregistration needs a horizontal CRS")
    return geobox.crs


def require_metric(geobox: GeoBox) -> None:
    """Reject grids whose pixels are not metres east and north.

    Raises:
        SourceGridError: no CRS, a geographic one, or a grid that is not north up.
    """
    if crs_of(geobox).geographic:
        raise SourceGridError(
            f"coregistration on {geobox.crs} would measure shifts in degrees",
            remedy="transform both rasters to a projected CRS, such as EPSG:3035; `prepare_pair` does",
        )
    units = crs_of(geobox).proj.axis_info
    if units and abs(units[0].unit_conversion_factor - 1.0) > 1e-12:
        raise SourceGridError(
            f"coregistration on {geobox.crs} would measure shifts in {units[0].unit_name}",
            remedy="transform both rasters to a CRS in metres; `prepare_pair` does",
        )
    affine = geobox.affine
    if affine.b or affine.d or affine.a <= 0 or affine.e >= 0:
        raise SourceGridError(f"coregistration needs north-up grids, not {tuple(affine)[:6]}")


def geometry_of(working: GeoBox, anchor: GeoBox, sampled: GeoBox) -> Array:
    """Twelve numbers for the kernels: working pixels in the anchor and in the sampled grid, anchor shape.

    Raises:
        SourceGridError: the three are not in one projected CRS, north up.
    """
    for geobox in (working, anchor, sampled):
        require_metric(geobox)
        if geobox.crs != working.crs:
            raise SourceGridError(
                f"grids in {working.crs} and {geobox.crs}",
                remedy="use `prepare_pair` to transform them to one grid CRS",
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
