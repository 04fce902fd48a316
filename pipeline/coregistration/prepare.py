"""Prepares a pair for the estimate: CRS, units, pixel interpretation, vertical frames.

`fit` itself rejects different CRS; this module transforms a pair to one CRS and records the steps.
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
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import TransverseMercatorConversion
from rasterio.errors import RasterioError
from rasterio.transform import array_bounds
from rasterio.warp import Resampling, calculate_default_transform, reproject
from rasterio.windows import Window

from orograph.pipeline.core.block_mean import block_mean
from orograph.pipeline.core.pixel_is import PixelIs
from orograph.pipeline.core.raster import BoolArray, FloatArray, Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration.cpu_kernels import cpu_kernels
from orograph.pipeline.coregistration.despike import despike
from orograph.pipeline.coregistration.field import crs_of, require_metric
from orograph.pipeline.coregistration.threads import in_bands
from orograph.pipeline.errors import NodataError, SourceCorrupt, SourceGridError, SourceMissing, VerticalError
from orograph.pipeline.formats.vertical_datum import declared_datum
from orograph.pipeline.sources.archives import gdal_path
from orograph.pipeline.sources.facts import Declared
from orograph.pipeline.sources.nodata import to_void
from orograph.pipeline.sources.opening import opened_raster
from orograph.pipeline.sources.single_raster import opened_heights
from orograph.pipeline.sources.untrusted_header import check_raster_file

UNDECLARED: Final = "undeclared"
"""Vertical frame of a file that names none."""
_SAME_PX: Final = 0.01
_NODE_PX: Final = 16
_STRIP_ROWS: Final = 512
_HEIGHT_WORDS: Final = ("height", "elevation", "dem", "dtm", "dsm", "altitude")
_METRES_PER_UNIT: Final = {
    **dict.fromkeys(("", "m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("ft", "foot", "feet", "international foot"), 0.3048),
    **dict.fromkeys(("us survey foot", "us survey feet", "ftus", "foot_us", "us foot"), 1200.0 / 3937.0),
    **dict.fromkeys(("cm", "centimetre", "centimeter"), 0.01),
    **dict.fromkeys(("dm", "decimetre", "decimeter"), 0.1),
}
_CLIFF_M: Final = 10.0
_CLIFF_FACTOR: Final = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A pair in one projected CRS in metres and one vertical frame.

    Attributes:
        reference, moving: The two rasters on grids the estimate works on.
        inliers: On the reference's grid; None for everywhere.
        notes: The preparation steps, in sentences.
        reference_file, moving_file: The two input rasters; the same objects if nothing was changed.
    """

    reference: Raster
    moving: Raster
    inliers: BoolArray | None
    notes: tuple[str, ...]
    reference_file: Raster
    moving_file: Raster

    @property
    def to_estimate(self) -> Raster:
        """The raster to be aligned, averaged to about the reference's pixel if that is at least twice as large.

        Pixels of a coarse reference are means of the terrain; single heights of a fine raster differ from those.
        """
        ratio = self.reference.geobox.affine.a / self.moving.geobox.affine.a
        factor = int(ratio + 0.05)
        if factor < 2 or min(self.moving.heights_m.shape) < 8 * factor:
            return self.moving
        box = self.moving.geobox
        shape = (box.shape.y // factor, box.shape.x // factor)
        coarse = GeoBox(shape, box.affine @ Affine.scale(factor), box.crs)
        return replace(self.moving, heights_m=block_mean(self.moving.heights_m, factor), geobox=coarse)


def read_heights(path: Path, *, band: int | None = None, nodata: float | None = None) -> tuple[Raster, tuple[str, ...]]:
    """Read a band of a GeoTIFF or HGT file as heights in metres, with NaN for its nodata.

    GDAL shifts the origin of `AREA_OR_POINT=Point` files by half a pixel, so grids are always of areas; a note records
    it. A vertical CRS in the file becomes the raster's frame, else the frame is `undeclared`. Scale,
    offset and unit of the band are applied.

    Args:
        path: The file.
        band: Band number from 1; None takes the only band, or the one whose description names heights.
        nodata: An additional nodata value.

    Raises:
        SourceMissing: the file does not exist.
        SourceCorrupt: the file cannot be read as a raster.
        SourceGridError: no CRS, or several bands of which none is known to be the heights.
        NodataError: a value marks voids without being declared.
    """
    if not path.is_file():
        raise SourceMissing(f"no file {path}", source=str(path))
    check_raster_file(path)
    notes: list[str] = []
    if band is None and _has_one_band(path):
        return _one_band(path, nodata)
    try:
        with opened_raster(gdal_path(str(path))) as file:
            number = _height_band(file, path, band, notes)
            heights = _read_band(file, number, nodata)
            crs, transform, tags = file.crs, file.transform, file.tags()
            _to_metres(heights, file, number, path, notes)
    except RasterioError as error:
        raise SourceCorrupt(f"cannot be read: {error}", source=str(path)) from error
    if crs is None:
        raise SourceGridError("the file has no CRS", source=str(path), remedy="assign it with gdal_edit.py -a_srs")
    reject_undeclared_zeros(heights, source=path.name)
    horizontal, frame = split_crs(CRS.from_user_input(crs.to_wkt()), tags)
    if tags.get("AREA_OR_POINT", "Area").lower() == "point":
        notes.append(f"{path.name}: pixels are points; the grid was moved by half a pixel, as GDAL does")
    raster = Raster(heights, GeoBox(heights.shape, transform, horizontal.to_wkt()), frame, Surface.DTM)
    return raster, tuple(notes)


def _has_one_band(path: Path) -> bool:
    try:
        with opened_raster(gdal_path(str(path))) as file:
            return int(file.count) == 1
    except RasterioError as error:
        raise SourceCorrupt(f"cannot be read: {error}", source=str(path)) from error


def _one_band(path: Path, nodata: float | None) -> tuple[Raster, tuple[str, ...]]:
    """Read a file of heights alone with the reader that every command shares."""
    declared = Declared(nodata=() if nodata is None else (nodata,))
    with opened_heights(path, declared) as raster:
        grid, facts, heights = raster.geobox, raster.facts, raster.read_all()
    reject_undeclared_zeros(heights, source=path.name)
    notes = []
    if facts.converted:
        scaled = f"heights were scaled by {facts.scale:g}, offset {facts.offset:g}, unit {facts.unit}"
        notes.append(f"{path.name}: {scaled}")
    if facts.pixel is PixelIs.POINT:
        notes.append(f"{path.name}: pixels are points; the grid was moved by half a pixel, as GDAL does")
    return Raster(heights, grid, facts.vertical_frame or UNDECLARED, Surface.DTM), tuple(notes)


def _height_band(file: Any, path: Path, band: int | None, notes: list[str]) -> int:
    """The number of the band with the heights."""
    if band is not None:
        if not 1 <= band <= file.count:
            raise SourceGridError(f"{path.name} has {file.count} bands, there is no band {band}", source=str(path))
        return band
    if file.count == 1:
        return 1
    names = [(description or "").lower() for description in file.descriptions]
    heights = [number for number, name in enumerate(names, 1) if any(word in name for word in _HEIGHT_WORDS)]
    if len(heights) == 1:
        notes.append(
            f"{path.name}: band {heights[0]} of {file.count} was read, its description is {names[heights[0] - 1]!r}"
        )
        return heights[0]
    listed = ", ".join(f"{number} {name or 'without description'}" for number, name in enumerate(names, 1))
    raise SourceGridError(
        f"{path.name} has {file.count} bands ({listed}), the band with the heights is unknown",
        source=str(path),
        remedy="name it with --reference-band or --band",
    )


def _read_band(file: Any, number: int, nodata: float | None) -> FloatArray:
    """Heights of a band, read strip by strip: no second array of the file's size."""
    heights = np.empty(file.shape, np.float32)
    extra = () if nodata is None else (nodata,)
    for first in range(0, file.height, _STRIP_ROWS):
        rows = min(_STRIP_ROWS, file.height - first)
        part = file.read(number, window=Window(0, first, file.width, rows))
        heights[first : first + rows] = to_void(part, file.nodatavals[number - 1], extra)
    return heights


def _to_metres(heights: FloatArray, file: Any, number: int, path: Path, notes: list[str]) -> None:
    """Apply scale, offset and unit of a band in place."""
    scale, offset = float(file.scales[number - 1]), float(file.offsets[number - 1])
    unit = (file.units[number - 1] or "").strip().lower()
    if unit not in _METRES_PER_UNIT:
        raise SourceGridError(f"{path.name} has heights in {unit!r}", source=str(path), remedy="convert them to metres")
    metres = _METRES_PER_UNIT[unit]
    if (scale, offset, metres) == (1.0, 0.0, 1.0):
        return
    heights *= np.float32(scale * metres)
    heights += np.float32(offset * metres)
    notes.append(f"{path.name}: heights were scaled by {scale:g}, offset {offset:g}, unit {unit or 'metre'}")


def reject_undeclared_zeros(heights_m: FloatArray, *, source: str) -> None:
    """Reject a raster in which 0 marks voids without being declared.

    Zeros of sea and polders join the land smoothly; zeros of a fill value end in a cliff.

    Raises:
        NodataError: at least one pixel in 200 is exactly 0 and most of the pixels next to zeros are far from 0.
    """
    step = max(1, int(np.sqrt(heights_m.size / 4_000_000)))
    part = heights_m[::step, ::step]
    zero = part == 0.0
    count = int(np.count_nonzero(zero))
    if count < max(25, 0.005 * part.size):
        return
    edge = zero[:, 1:] != zero[:, :-1]
    steps = np.abs(np.where(zero[:, 1:], part[:, :-1], part[:, 1:]))[edge]
    other = np.abs(np.diff(part, axis=1))[~(zero[:, 1:] | zero[:, :-1])]
    steps, other = steps[np.isfinite(steps)], other[np.isfinite(other)]
    if steps.size < 10 or other.size < 10:
        return
    if float(np.median(steps)) > max(_CLIFF_M, _CLIFF_FACTOR * float(np.median(other))):
        raise NodataError(
            f"{source} has exactly 0 m in {count / part.size:.0%} of its pixels, and heights next to them differ by"
            f" {float(np.median(steps)):.0f} m: 0 stands for nodata without being declared",
            source=source,
            remedy="declare it (gdal_edit.py -a_nodata 0), or give --nodata 0",
        )


def read_mask(path: Path, reference: Raster) -> BoolArray:
    """Read a mask, non-zero is stable terrain, onto the reference's grid by nearest neighbour."""
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
    """Transform a pair to one projected CRS and check that its heights may be compared.

    CRS that differ in name but give the same coordinates (25833 and 32633) count as equal. A projected reference in
    feet is measured in metres on the same axes. A geographic reference is reprojected to a transverse Mercator
    projection around its centre, whose east and north are the geographic ones there. A raster to be aligned in another
    CRS is reprojected to the reference's CRS at about its own resolution, for the estimate only: the output is read
    from the file's own pixels. With `same_heights`, two frames, or a declared and an undeclared one, are compared
    without transformation.

    Raises:
        VerticalError: the vertical frames differ, or only one is declared.
        SourceGridError: a grid is rotated.
    """
    notes: list[str] = []
    moving = _same_frame(reference, moving, notes, same_heights=same_heights)
    reference_file, moving_file = reference, moving
    if reference.geobox.crs is not None and reference.geobox.crs.geographic:
        target = _local_projection(reference.geobox)
        notes.append(
            "the reference is geographic: the estimate is made in metres around its centre, where north is true"
        )
        old = reference.geobox
        reference = _warped(reference, target)
        inliers = None if inliers is None else _warped_mask(inliers.astype(np.uint8), old, reference.geobox)
    reference, moving = _in_metres(reference, notes), _in_metres(moving, [])
    moving = in_crs_of(reference.geobox, moving, notes)
    require_metric(reference.geobox)
    require_metric(moving.geobox)
    return Prepared(reference, moving, inliers, tuple(notes), reference_file, moving_file)


def _in_metres(raster: Raster, notes: list[str]) -> Raster:
    """The same pixels in a CRS in metres; unchanged if they already are, or are in degrees."""
    crs = CRS(crs_of(raster.geobox).to_wkt())
    factor = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    if crs.is_geographic or abs(factor - 1.0) < 1e-12:
        return raster
    unit = crs.axis_info[0].unit_name
    box = raster.geobox
    metric = GeoBox(box.shape, Affine.scale(factor) @ box.affine, _metric(crs).to_wkt())
    notes.append(f"coordinates of {_label(crs)} are in {unit}: shifts, limits and blocks are in metres on its axes")
    return replace(raster, geobox=metric)


def _metric(crs: CRS) -> CRS:
    """A projected CRS with the same axes in metres."""
    document = crs.to_json_dict()
    projected = document.get("source_crs", document)
    for axis in projected["coordinate_system"]["axis"]:
        axis["unit"] = "metre"
    projected["name"] = f"{projected['name']} in metres"
    projected.pop("id", None)
    return CRS.from_json_dict(projected)


def _same_frame(reference: Raster, moving: Raster, notes: list[str], *, same_heights: bool) -> Raster:
    """The raster to be aligned under the reference's frame, if that is correct."""
    if moving.frame == reference.frame:
        return moving
    if same_heights:
        notes.append(f"heights in {moving.frame} and {reference.frame} were compared as they are, as asked")
        return replace(moving, frame=reference.frame)
    raise VerticalError(
        f"vertical frames differ: {reference.frame} of the reference, {moving.frame} of the raster to be aligned",
        remedy="transform one first (`orograph harmonise`), or state that they are the same with --same-heights",
    )


def in_crs_of(grid: GeoBox, moving: Raster, notes: list[str]) -> Raster:
    """The raster in a grid's CRS: under that CRS if the two agree, else warped by cubic convolution; notes say which."""
    here, there = CRS(crs_of(grid).to_wkt()), CRS(crs_of(moving.geobox).to_wkt())
    if here.equals(there, ignore_axis_order=True) or grid.crs == moving.geobox.crs:
        return replace(moving, geobox=GeoBox(moving.geobox.shape, moving.geobox.affine, grid.crs))
    apart = _disagreement_px(moving.geobox, there, here)
    if apart < _SAME_PX:
        notes.append(f"{_label(there)} and {_label(here)} agree within {apart:.1e} pixels here: taken as one")
        return replace(moving, geobox=GeoBox(moving.geobox.shape, moving.geobox.affine, grid.crs))
    notes.append(f"reprojected from {_label(there)} to {_label(here)} by cubic convolution before the estimate")
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


def _local_projection(geobox: GeoBox) -> CRS:
    """A transverse Mercator projection around a geographic grid's centre: scale 1 and true north along its meridian."""
    west, south, east, north = array_bounds(*geobox.shape.shape, geobox.affine)
    lon, lat = 0.5 * (west + east), 0.5 * (south + north)
    base = CRS(crs_of(geobox).to_wkt())
    projection = TransverseMercatorConversion(
        latitude_natural_origin=round(lat, 6), longitude_natural_origin=round(lon, 6), scale_factor_natural_origin=1.0
    )
    return ProjectedCRS(projection, name="transverse Mercator around the reference", geodetic_crs=base)


def _warped(raster: Raster, target: CRS) -> Raster:
    """Reproject a raster: square pixels of about its own size, cubic convolution, voids unchanged.

    GDAL's warper is not used: where it enlarges pixels, it was found to shift the terrain by a tenth of a pixel.
    """
    source = raster.geobox
    rows, cols = source.shape.shape
    bounds = array_bounds(rows, cols, source.affine)
    here = CRS(crs_of(source).to_wkt())
    transform, width, height = calculate_default_transform(here.to_wkt(), target.to_wkt(), cols, rows, *bounds)
    out = np.full((height, width), np.nan, np.float32)
    nodes = _sample_places(source, here, GeoBox((height, width), transform, target.to_wkt()), target)
    despiked = despike(raster.heights_m, spikes=False)
    resample = cpu_kernels().resample
    in_bands(lambda a, b: resample(raster.heights_m, despiked, nodes, _NODE_PX, a, b, out), height, 1)
    return replace(raster, heights_m=out, geobox=GeoBox((height, width), transform, target.to_wkt()))


def _sample_places(source: GeoBox, source_crs: CRS, output: GeoBox, output_crs: CRS) -> npt.NDArray[np.float64]:
    """Row and column of the source at every 16th pixel of the output, shape (2, rows, columns)."""
    rows, cols = (np.arange(0, size + _NODE_PX, _NODE_PX) + 0.5 for size in output.shape.shape)
    affine = output.affine
    x, y = np.meshgrid(affine.c + affine.a * cols, affine.f + affine.e * rows)
    if len(cols) < 2 or len(rows) < 2:
        raise SourceGridError(f"a raster of {source.shape} pixels is too small to be reprojected")
    there_x, there_y = Transformer.from_crs(output_crs, source_crs, always_xy=True).transform(x, y)
    affine = source.affine
    if affine.b or affine.d:
        raise SourceGridError(
            f"the grid is rotated: {tuple(affine)[:6]}", remedy="warp it north up with gdalwarp first"
        )
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
    """Authority code of a CRS if it has one, else its name."""
    return _name(crs)
