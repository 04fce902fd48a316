"""Convert between xarray DataArrays (with CRS and vertical frame) and `Raster`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import rioxarray  # noqa: F401 - registers the `.rio` accessor
import xarray as xr
from odc.geo.geobox import GeoBox
from pyproj import CRS

from orograph.pipeline.core.frames import frame_id
from orograph.pipeline.core.pixel_size import degree_lengths_m
from orograph.pipeline.core.raster import FloatArray, Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration.prepare import UNDECLARED, read_heights, split_crs
from orograph.pipeline.errors import BandMismatch, SourceGridError, VerticalFrameMissing
from orograph.pipeline.sources.nodata import reject_undeclared, to_void

FRAME = "vertical_frame"
"""Attribute of a DataArray that names the vertical frame of its heights, such as `EPSG:5621`."""
SURFACE = "surface"
"""Attribute that says what the heights describe: `DTM` or `DSM`."""

Heights = xr.DataArray | str | Path
"""Two-dimensional heights in metres, or the path of a raster with one band of them."""


def to_raster(heights: Heights, frame: str | None = None) -> Raster:
    """Read heights with their grid, vertical frame and surface.

    Args:
        heights: A DataArray with `.rio.crs`, dims (y, x), metres, nodata as NaN or in `.rio.nodata`; or a path.
        frame: Vertical frame; None takes the attribute `vertical_frame` or the vertical part of a compound CRS.

    Raises:
        SourceGridError: no CRS, or a grid that is rotated or not regular.
        BandMismatch: more than one band.
        NodataError: values that can only be undeclared nodata.
        VerticalFrameMissing: the frame given contradicts the one declared.
    """
    if not isinstance(heights, xr.DataArray):
        raster, _ = read_heights(Path(heights))
        return _with_frame(raster, frame, str(heights))
    name = str(heights.name or "array")
    array = heights.squeeze(drop=True)
    if array.ndim != 2:
        raise BandMismatch(f"{name} has dimensions {heights.dims}, heights have two", source=name)
    if array.rio.crs is None:
        raise SourceGridError(f"{name} has no CRS", source=name, remedy="set it with .rio.write_crs(...)")
    array = array.transpose(array.rio.y_dim, array.rio.x_dim)
    if array[array.rio.y_dim].size > 1 and float(array[array.rio.y_dim][1] - array[array.rio.y_dim][0]) > 0:
        array = array.isel({array.rio.y_dim: slice(None, None, -1)})
    horizontal, declared = split_crs(CRS.from_wkt(array.rio.crs.to_wkt()), {})
    values = to_void(np.array(array.values, dtype=np.float32), array.rio.nodata)
    reject_undeclared(values, source=name)
    geobox = GeoBox(values.shape, array.rio.transform(recalc=True), horizontal.to_wkt())
    surface = Surface(str(heights.attrs.get(SURFACE, Surface.DTM)))
    raster = Raster(values, geobox, str(heights.attrs.get(FRAME, declared)), surface)
    return _with_frame(raster, frame, name)


def _with_frame(raster: Raster, frame: str | None, name: str) -> Raster:
    frame = None if frame is None else frame_id(frame)
    if frame is None or frame_id(raster.frame) == frame:
        return raster if frame is None else replace(raster, frame=frame)
    if raster.frame != UNDECLARED:
        raise VerticalFrameMissing(f"{name} declares heights in {raster.frame}, not {frame}", source=name)
    return Raster(raster.heights_m, raster.geobox, frame, raster.surface)


def known_frame(raster: Raster) -> str:
    """The vertical frame of a raster.

    Raises:
        VerticalFrameMissing: neither the data nor the caller names a frame.
    """
    if raster.frame == UNDECLARED:
        raise VerticalFrameMissing(
            "the heights do not say which vertical frame they are in",
            remedy=f'name it: attrs["{FRAME}"] = "EPSG:5709", or the argument that names the frame',
        )
    return raster.frame


def to_array(
    heights_m: FloatArray, geobox: GeoBox, name: str = "elevation", attributes: Mapping[str, object] | None = None
) -> xr.DataArray:
    """Return a 2D array on a grid as a DataArray: dims (y, x), float32, NaN void, `.rio.crs` set."""
    affine, (rows, columns) = geobox.affine, geobox.shape.shape
    x = affine.c + affine.a * (np.arange(columns) + 0.5)
    y = affine.f + affine.e * (np.arange(rows) + 0.5)
    attrs = {"units": "m"} | {key: value for key, value in (attributes or {}).items() if value is not None}
    array = xr.DataArray(heights_m, coords={"y": y, "x": x}, dims=("y", "x"), name=name, attrs=attrs)
    with warnings.catch_warnings():
        # CF attributes cannot say everything of an oblique projection; the WKT next to them does.
        warnings.filterwarnings("ignore", message=".*lost in conversion to CF")
        array = array.rio.write_crs(str(geobox.crs)).rio.write_transform(affine)
    return array.rio.write_nodata(np.nan, encoded=False)


def raster_array(raster: Raster) -> xr.DataArray:
    """A DataArray of a raster, with its vertical frame and surface as attributes."""
    frame = None if raster.frame == UNDECLARED else raster.frame
    attributes = {FRAME: frame, SURFACE: raster.surface.value}
    return to_array(raster.heights_m, raster.geobox, attributes=attributes)


def pixel_size_m(geobox: GeoBox) -> tuple[float, float]:
    """Size of a pixel on the terrain at the grid's centre, metres along columns and rows."""
    crs = CRS.from_user_input(str(geobox.crs))
    affine = geobox.affine
    if not crs.is_geographic:
        scale = crs.axis_info[0].unit_conversion_factor
        return abs(affine.a) * scale, abs(affine.e) * scale
    parallel_m, meridian_m = degree_lengths_m(affine.f + affine.e * geobox.shape.y / 2)
    return abs(affine.a) * parallel_m, abs(affine.e) * meridian_m
