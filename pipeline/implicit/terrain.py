"""Slope, aspect and curvature of a model in metric units, for any CRS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

from orograph.pipeline.core.grid import windows
from orograph.pipeline.errors import NoOverlap, SourceGridError
from orograph.pipeline.implicit.model import ImplicitModel, parse_crs
from orograph.pipeline.implicit.splines import Float64Array

QUANTITIES: Final = ("height", "slope", "aspect", "profile_curvature", "tangential_curvature", "mean_curvature")
_BLOCK_PX: Final = 512
# On flatter terrain than this, "downhill" has no direction.
_FLAT: Final = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class ImplicitTerrain:
    """Result of a query; arrays of one shape.

    Attributes:
        height_m: Metres.
        slope_deg: Steepest slope, degrees.
        aspect_deg: Direction downhill, degrees clockwise from true north; NaN on flat terrain.
        profile_curvature_per_m: Along the steepest slope, positive where it is convex, 1/m; NaN on flat terrain.
        tangential_curvature_per_m: Perpendicular to it, positive where the contour bends outwards, 1/m; NaN on flat
            terrain.
        mean_curvature_per_m: Mean of the principal curvatures, positive on a summit, 1/m.
    """

    height_m: Float64Array
    slope_deg: Float64Array
    aspect_deg: Float64Array
    profile_curvature_per_m: Float64Array
    tangential_curvature_per_m: Float64Array
    mean_curvature_per_m: Float64Array

    def quantity(self, name: str) -> Float64Array:
        """Array of a quantity by its name in `QUANTITIES`."""
        units = {"height": "_m", "slope": "_deg", "aspect": "_deg"}
        return getattr(self, name + units.get(name, "_per_m"))


def terrain_at(model: ImplicitModel, x: Float64Array, y: Float64Array) -> ImplicitTerrain:
    """Height, slope, aspect and curvature at coordinates of the model's CRS.

    The model's derivatives are converted to east and north metres with the projection's scale and convergence at each
    point (its Jacobian; second derivatives of the projection are neglected). Formulas: Florinsky, Digital
    Terrain Analysis, 2016, chapter 2.

    Raises:
        OutsideExtent: a point is outside the model.
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in np.broadcast_arrays(x, y))
    jet = model.derivatives(x, y)
    inverse = np.linalg.inv(ground_jacobian(parse_crs(model.crs), x, y, max(model.pixel_size)))
    gradient = np.stack([jet.du, jet.dv], axis=-1)
    hessian = np.stack([np.stack([jet.duu, jet.dvu], -1), np.stack([jet.dvu, jet.dvv], -1)], -2)
    p, q = np.moveaxis(np.einsum("...ij,...i->...j", inverse, gradient), -1, 0)
    bent = np.einsum("...ki,...kl,...lj->...ij", inverse, hessian, inverse)
    r, s, t = bent[..., 0, 0], bent[..., 0, 1], bent[..., 1, 1]
    steep = p * p + q * q
    uphill = np.where(steep > _FLAT**2, steep, np.nan)
    one = 1.0 + steep
    return ImplicitTerrain(
        height_m=jet.height,
        slope_deg=np.degrees(np.arctan(np.sqrt(steep))),
        aspect_deg=np.where(np.isnan(uphill), np.nan, np.degrees(np.arctan2(-p, -q)) % 360.0),
        profile_curvature_per_m=-(p * p * r + 2 * p * q * s + q * q * t) / (uphill * one**1.5),
        tangential_curvature_per_m=-(q * q * r - 2 * p * q * s + p * p * t) / (uphill * np.sqrt(one)),
        mean_curvature_per_m=-((1 + q * q) * r - 2 * p * q * s + (1 + p * p) * t) / (2 * one**1.5),
    )


def ground_jacobian(crs: CRS, x: Float64Array, y: Float64Array, step: float) -> Float64Array:
    """Metres east and north per unit of x and y, shape (..., 2, 2), on the CRS's own ellipsoid.

    Args:
        crs: Horizontal CRS.
        x: First coordinate in it (east or longitude), any shape.
        y: Second coordinate, same shape.
        step: Units of the CRS over which differences are taken.
    """
    geod = crs.get_geod()
    if geod is None:
        raise SourceGridError(f"{crs.name} has no ellipsoid")
    if crs.is_geographic:
        lon, lat = x, y
        unit = np.zeros((*x.shape, 2, 2))
        unit[..., 0, 0] = unit[..., 1, 1] = 1.0
    else:
        to_geodetic = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
        lon, lat = (np.asarray(v) for v in to_geodetic.transform(x, y))
        ends = [to_geodetic.transform(x + dx, y + dy) for dx, dy in ((step, 0), (-step, 0), (0, step), (0, -step))]
        across = [np.asarray(ends[0][k]) - np.asarray(ends[1][k]) for k in (0, 1)]
        along = [np.asarray(ends[2][k]) - np.asarray(ends[3][k]) for k in (0, 1)]
        unit = np.stack([np.stack([across[k], along[k]], -1) for k in (0, 1)], -2) / (2.0 * step)
    semi_major, eccentricity2 = float(geod.a), float(geod.es)
    sine = np.sin(np.radians(lat))
    w2 = 1.0 - eccentricity2 * sine * sine
    metres = np.zeros((*np.shape(lon), 2))
    metres[..., 0] = np.radians(semi_major / np.sqrt(w2)) * np.cos(np.radians(lat))
    metres[..., 1] = np.radians(semi_major * (1.0 - eccentricity2) / w2**1.5)
    return np.asarray(unit * metres[..., None])


def to_model(model: ImplicitModel, x: Float64Array, y: Float64Array, crs: str) -> tuple[Float64Array, Float64Array]:
    """Transform coordinates of any CRS (x or longitude first) to the model's CRS."""
    transformer = Transformer.from_crs(parse_crs(crs), parse_crs(model.crs), always_xy=True)
    east, north = transformer.transform(x, y)
    return np.asarray(east, dtype=np.float64), np.asarray(north, dtype=np.float64)


def render_model(model: ImplicitModel, geobox: GeoBox, quantity: str = "height") -> np.ndarray:
    """A quantity at the pixel centres of any grid, float32; NaN outside the model's extent.

    Raises:
        NoOverlap: the grid does not overlap the model.
    """
    image = np.full(geobox.shape, np.nan, dtype=np.float32)
    west, south, east, north = model.bounds
    same = geobox.crs is not None and parse_crs(str(geobox.crs.to_wkt())) == parse_crs(model.crs)
    for window in windows(geobox.shape.yx, _BLOCK_PX):
        x, y = _pixel_coordinates(window.geobox(geobox))
        if not same:
            x, y = to_model(model, x, y, str(geobox.crs))
        inside = (x >= west) & (x <= east) & (y >= south) & (y <= north)
        if inside.any():
            part = image[window.slices]
            if quantity == "height":
                part[inside] = model.height(x[inside], y[inside])
            else:
                part[inside] = terrain_at(model, x[inside], y[inside]).quantity(quantity)
    if np.isnan(image).all() and not _touches(model, geobox):
        raise NoOverlap(
            "the requested grid does not overlap the model", remedy=f"its extent is {model.bounds} {model.crs}"
        )
    return image


def _pixel_coordinates(geobox: GeoBox) -> tuple[Float64Array, Float64Array]:
    """Coordinates of pixel centres, two arrays of the grid's shape."""
    rows, cols = np.mgrid[0 : geobox.shape[0], 0 : geobox.shape[1]] + 0.5
    a = geobox.affine
    return np.asarray(a.a * cols + a.b * rows + a.c), np.asarray(a.d * cols + a.e * rows + a.f)


def _touches(model: ImplicitModel, geobox: GeoBox) -> bool:
    from odc.geo import geom

    extent = geom.box(*model.bounds, crs=model.crs)
    return bool(geobox.extent.to_crs(model.crs).intersects(extent))


def model_grid(model: ImplicitModel, resolution: float | None = None, crs: str | None = None) -> GeoBox:
    """A grid over the model's extent: its own pixels by default, or another resolution or CRS."""
    rows, cols = model.shape
    own = GeoBox.from_bbox(model.bounds, model.crs, shape=(rows, cols))
    if crs is not None and parse_crs(crs) != parse_crs(model.crs):
        if resolution is None:
            return own.to_crs(crs)
        return GeoBox.from_bbox(own.to_crs(crs).boundingbox, crs, resolution=resolution, tight=True)
    if resolution is None:
        return own
    return GeoBox.from_bbox(model.bounds, model.crs, resolution=resolution, tight=True)
