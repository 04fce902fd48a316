"""Grid questions settled before anything is estimated: CRS, degrees, pixel meaning, vertical frames.

`fit` itself refuses unlike CRS; this brings a pair together, and says what it did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from rasterio.errors import RasterioError
from rasterio.transform import array_bounds
from rasterio.warp import Resampling, calculate_default_transform, reproject
from rasterio.windows import Window

from orograph.pipeline.core.raster import BoolArray, FloatArray, Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import kernels
from orograph.pipeline.coregistration.despike import mend
from orograph.pipeline.coregistration.field import crs_of, require_metric
from orograph.pipeline.coregistration.threads import in_bands
from orograph.pipeline.errors import SourceCorrupt, SourceGridError, SourceMissing, VerticalError
from orograph.pipeline.formats.vertical_datum import declared_datum
from orograph.pipeline.sources.nodata import to_void
from orograph.pipeline.sources.untrusted_header import check_raster_file

UNDECLARED: Final = "undeclared"
"""Vertical frame of a file that names none."""
_SAME_PX: Final = 0.01
_NODE_PX: Final = 16
_STRIP_ROWS: Final = 512
_EUROPE: Final = (-25.0, 27.0, 45.0, 72.5)
"""West, south, east, north in degrees of where EPSG:3035 is used for geographic rasters."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A pair in one projected CRS and one vertical frame.

    Attributes:
        reference, moving: The two rasters.
        inliers: On the reference's grid; None for everywhere.
        notes: What had to be done, in sentences.
    """

    reference: Raster
    moving: Raster
    inliers: BoolArray | None
    notes: tuple[str, ...]


def read_heights(path: Path) -> tuple[Raster, tuple[str, ...]]:
    """Read the first band of a GeoTIFF or HGT file as heights, with NaN for its nodata.

    GDAL shifts the origin of `AREA_OR_POINT=Point` files by half a pixel, so grids are of areas either way; the note
    says when it did. A vertical CRS in the file becomes the raster's frame, else the frame is `undeclared`.

    Raises:
        SourceMissing: no such file.
        SourceCorrupt: not a raster that can be read.
        SourceGridError: no CRS.
    """
    if not path.is_file():
        raise SourceMissing(f"no file {path}", source=str(path))
    check_raster_file(path)
    try:
        with rasterio.open(path) as file:
            heights = _first_band(file)
            crs, transform, tags = file.crs, file.transform, file.tags()
    except RasterioError as error:
        raise SourceCorrupt(f"cannot be read: {error}", source=str(path)) from error
    if crs is None:
        raise SourceGridError("the file has no CRS", source=str(path), remedy="assign it with gdal_edit.py -a_srs")
    horizontal, frame = split_crs(CRS.from_user_input(crs.to_wkt()), tags)
    notes: tuple[str, ...] = ()
    if tags.get("AREA_OR_POINT", "Area").lower() == "point":
        notes = (f"{path.name}: pixels are points; the grid was moved by half a pixel, as GDAL does",)
    return Raster(heights, GeoBox(heights.shape, transform, horizontal.to_wkt()), frame, Surface.DTM), notes


def _first_band(file: Any) -> FloatArray:
    """Heights of the first band, read strip by strip: no second array of the file's size."""
    heights = np.empty(file.shape, np.float32)
    for first in range(0, file.height, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, file.height - first)
        part = file.read(1, window=Window(0, first, file.width, rows))
        heights[first : first + rows] = to_void(part, file.nodata)
    return heights


def read_mask(path: Path, reference: Raster) -> BoolArray:
    """Read a mask, non-zero is stable ground, onto the reference's grid by nearest neighbour."""
    if not path.is_file():
        raise SourceMissing(f"no file {path}", source=str(path))
    check_raster_file(path)
    with rasterio.open(path) as file:
        values = file.read(1)
        if file.nodata is not None and not math.isnan(file.nodata):
            values = np.where(values == file.nodata, 0, values)
        crs, transform = file.crs, file.transform
    if crs is None:
        raise SourceGridError("the mask has no CRS", source=str(path))
    mask = (np.nan_to_num(values) != 0).astype(np.uint8)
    horizontal, _ = split_crs(CRS.from_user_input(crs.to_wkt()), {})
    return _warped_mask(mask, GeoBox(mask.shape, transform, horizontal.to_wkt()), reference.geobox)


def split_crs(crs: CRS, tags: Mapping[str, str]) -> tuple[CRS, str]:
    """Horizontal part of a file's CRS, and its vertical frame: an authority code, a name, or `undeclared`."""
    if crs.is_compound:
        horizontal, vertical = crs.sub_crs_list[0], crs.sub_crs_list[1]
        return horizontal, _name(vertical)
    if len(crs.axis_info) == 3:
        return crs.to_2d(), "ellipsoid"
    return crs, declared_datum(crs, tags) or UNDECLARED


def _name(crs: CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.name


def prepare_pair(
    reference: Raster, moving: Raster, inliers: BoolArray | None = None, *, same_heights: bool = False
) -> Prepared:
    """Bring a pair into one projected CRS and check that its heights may be compared.

    CRS that differ in name but not in place (25833 and 32633) are taken as one. A geographic reference is brought to
    EPSG:3035, or to its UTM zone outside Europe; a raster to be aligned in another CRS is brought to the reference's,
    at about its own resolution; these cost one more interpolation. `same_heights` states that two frames, or a declared
    and an undeclared one, are to be compared as they are.

    Raises:
        VerticalError: the vertical frames differ, or only one is declared.
        SourceGridError: a grid is rotated.
    """
    notes: list[str] = []
    moving = _same_frame(reference, moving, notes, same_heights=same_heights)
    if reference.geobox.crs is not None and reference.geobox.crs.geographic:
        target = _projected_for(reference.geobox)
        notes.append(f"the reference is geographic: brought to {_label(target)} by cubic convolution")
        old = reference.geobox
        reference = _warped(reference, target)
        inliers = None if inliers is None else _warped_mask(inliers.astype(np.uint8), old, reference.geobox)
    moving = _same_crs(reference, moving, notes)
    require_metric(reference.geobox)
    require_metric(moving.geobox)
    return Prepared(reference, moving, inliers, tuple(notes))


def _same_frame(reference: Raster, moving: Raster, notes: list[str], *, same_heights: bool) -> Raster:
    """The raster to be aligned under the reference's frame, if that is right."""
    if moving.frame == reference.frame:
        return moving
    if same_heights:
        notes.append(f"heights in {moving.frame} and {reference.frame} were compared as they are, as asked")
        return replace(moving, frame=reference.frame)
    raise VerticalError(
        f"reference heights are in {reference.frame}, those to be aligned in {moving.frame}",
        remedy="transform one first (`orograph height`), or state that they are the same with --same-heights",
    )


def _same_crs(reference: Raster, moving: Raster, notes: list[str]) -> Raster:
    """The raster to be aligned in the reference's CRS."""
    here, there = CRS(crs_of(reference.geobox).to_wkt()), CRS(crs_of(moving.geobox).to_wkt())
    if here.equals(there, ignore_axis_order=True) or reference.geobox.crs == moving.geobox.crs:
        return replace(moving, geobox=GeoBox(moving.geobox.shape, moving.geobox.affine, reference.geobox.crs))
    apart = _disagreement_px(moving.geobox, there, here)
    if apart < _SAME_PX:
        notes.append(f"{_label(there)} and {_label(here)} agree within {apart:.1e} pixels here: taken as one")
        return replace(moving, geobox=GeoBox(moving.geobox.shape, moving.geobox.affine, reference.geobox.crs))
    notes.append(f"brought from {_label(there)} to {_label(here)} by cubic convolution before the estimate")
    return _warped(moving, here)


def _disagreement_px(geobox: GeoBox, there: CRS, here: CRS) -> float:
    """How far coordinates move between two projected CRS, in pixels; infinite when one is geographic."""
    if there.is_geographic or here.is_geographic:
        return math.inf
    west, south, east, north = array_bounds(*geobox.shape.shape, geobox.affine)
    x, y = np.meshgrid(np.linspace(west, east, 5), np.linspace(south, north, 5))
    moved_x, moved_y = Transformer.from_crs(there, here, always_xy=True).transform(x, y)
    distance = np.hypot(moved_x - x, moved_y - y)
    return float(distance.max() / abs(geobox.affine.a)) if np.isfinite(distance).all() else math.inf


def _projected_for(geobox: GeoBox) -> CRS:
    """EPSG:3035 in Europe, else the UTM zone of the centre."""
    west, south, east, north = array_bounds(*geobox.shape.shape, geobox.affine)
    lon, lat = 0.5 * (west + east), 0.5 * (south + north)
    if _EUROPE[0] <= lon <= _EUROPE[2] and _EUROPE[1] <= lat <= _EUROPE[3]:
        return CRS.from_epsg(3035)
    return CRS.from_epsg((32600 if lat >= 0 else 32700) + int((lon + 180) // 6) % 60 + 1)


def _warped(raster: Raster, target: CRS) -> Raster:
    """A raster in another CRS, square pixels of about its own size, cubic convolution, no void grown or shrunk.

    Not GDAL's warper: where it enlarges pixels it was found to move ground by a tenth of a pixel.
    """
    source = raster.geobox
    rows, cols = source.shape.shape
    bounds = array_bounds(rows, cols, source.affine)
    here = CRS(crs_of(source).to_wkt())
    transform, width, height = calculate_default_transform(here.to_wkt(), target.to_wkt(), cols, rows, *bounds)
    out = np.full((height, width), np.nan, np.float32)
    nodes = _sample_places(source, here, GeoBox((height, width), transform, target.to_wkt()), target)
    mended = mend(raster.heights_m, spikes=False)
    in_bands(lambda a, b: kernels.resample(raster.heights_m, mended, nodes, _NODE_PX, a, b, out), height, 1)
    return replace(raster, heights_m=out, geobox=GeoBox((height, width), transform, target.to_wkt()))


def _sample_places(source: GeoBox, source_crs: CRS, output: GeoBox, output_crs: CRS) -> npt.NDArray[np.float64]:
    """Row and column of the source at every 16th pixel of the output, shape (2, rows, columns)."""
    rows, cols = (np.arange(0, size + _NODE_PX, _NODE_PX) + 0.5 for size in output.shape.shape)
    affine = output.affine
    x, y = np.meshgrid(affine.c + affine.a * cols, affine.f + affine.e * rows)
    if len(cols) < 2 or len(rows) < 2:
        raise SourceGridError(f"a raster of {source.shape} pixels is too small to be brought to another CRS")
    there_x, there_y = Transformer.from_crs(output_crs, source_crs, always_xy=True).transform(x, y)
    affine = source.affine
    if affine.b or affine.d:
        raise SourceGridError(f"the grid is rotated: {tuple(affine)[:6]}", remedy="bring it north up first")
    return np.stack([(there_y - affine.f) / affine.e - 0.5, (there_x - affine.c) / affine.a - 0.5])


def _warped_mask(mask: npt.NDArray[np.uint8], source: GeoBox, target: GeoBox) -> BoolArray:
    """A mask on another grid, nearest neighbour, False outside."""
    if source.crs == target.crs and source.affine == target.affine and source.shape == target.shape:
        return mask.astype(np.bool_)
    out = np.zeros(target.shape.shape, np.uint8)
    reproject(
        mask,
        out,
        src_transform=source.affine,
        src_crs=crs_of(source).to_wkt(),
        dst_transform=target.affine,
        dst_crs=crs_of(target).to_wkt(),
        resampling=Resampling.nearest,
        tolerance=0.0,
    )
    return out.astype(np.bool_)


def _label(crs: CRS) -> str:
    """Authority code of a CRS where it has one, else its name."""
    return _name(crs)
