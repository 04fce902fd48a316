"""Small pairs of rasters for coregistration tests: planes with known slopes, and relief that determines a shift."""

from __future__ import annotations

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration.field import DisplacementField
from orograph.pipeline.coregistration.methods import parse_method
from orograph.pipeline.coregistration.result import Coregistration
from orograph.pipeline.coregistration.status import CoregistrationStatus

PIXEL_M = 10.0
AFFINE = Affine(PIXEL_M, 0, 4_300_000, 0, -PIXEL_M, 2_700_000)


def raster_of(heights: np.ndarray, affine: Affine = AFFINE, crs: str = "EPSG:3035") -> Raster:
    """Heights (metres) as a DTM on a grid of 10 m."""
    return Raster(
        np.ascontiguousarray(heights, np.float32), GeoBox(heights.shape, affine, crs), "EPSG:5621", Surface.DTM
    )


def plane_raster(rows: int, columns: int, *, east: float = 0.1, north: float = 0.05) -> Raster:
    """A plane of 500 m in the north-west, with slopes along east and north."""
    row, column = np.mgrid[0:rows, 0:columns]
    return raster_of(500.0 + east * PIXEL_M * column - north * PIXEL_M * row)


def relief_pair(
    size: int = 120, *, east_px: float = 0.0, north_px: float = 0.0, up_m: float = 0.0, noise_m: float = 0.0
) -> tuple[Raster, Raster]:
    """A reference and a raster that has to move by the given displacement."""
    rng = np.random.default_rng(7)
    wide = size + 40
    heights = sum(
        amplitude * scale * gaussian_filter(rng.standard_normal((wide, wide)), scale, mode="wrap")
        for amplitude, scale in ((400.0, 16), (60.0, 5))
    )
    spline = spline_filter(heights + 500.0, 3)
    rows, columns = np.mgrid[0:size, 0:size] + 20.0
    moving = map_coordinates(spline, [rows, columns], order=3, prefilter=False)
    reference = map_coordinates(spline, [rows + north_px, columns - east_px], order=3, prefilter=False) + up_m
    return raster_of(reference + rng.normal(0, noise_m, reference.shape)), raster_of(moving)


def still_with(geobox: GeoBox, *, east_m: float = 0.0, north_m: float = 0.0, up_m: float = 0.0) -> DisplacementField:
    """A field that moves everything alike."""
    polynomial = np.zeros((3, 6))
    polynomial[:, 0] = east_m, north_m, up_m
    return DisplacementField(geobox, polynomial)


def coregistration_of(
    geobox: GeoBox, *, east_m: float = 0.0, north_m: float = 0.0, up_m: float = 0.0
) -> Coregistration:
    """A finished coregistration with a known shift."""
    return Coregistration(
        method=parse_method("nuth-kaab"),
        status=CoregistrationStatus.CONVERGED,
        field=still_with(geobox, east_m=east_m, north_m=north_m, up_m=up_m),
        median_before_m=1.0,
        median_after_m=0.0,
        nmad_before_m=2.0,
        nmad_after_m=0.5,
        sample_count=1000,
        covariance=np.diag([0.04, 0.09, 0.01]),
        condition=1.5,
        slope_spread=0.1,
        iterations=5,
    )
