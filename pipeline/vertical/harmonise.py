"""Transforms one raster from its own vertical frame to another, streamed by windows into a COG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from odc.geo.geobox import GeoBox

from orograph.pipeline.core.frames import frame_id
from orograph.pipeline.core.grid import PixelWindow, windows
from orograph.pipeline.core.pixel_is import PixelIs
from orograph.pipeline.core.progress import tracked
from orograph.pipeline.errors import OutsideAreaOfUse, SourceGridError, VerticalFrameMissing
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.vertical_datum import vertical_tags
from orograph.pipeline.manifest import OperationRecord
from orograph.pipeline.sources.catalogue import UserGrid
from orograph.pipeline.sources.facts import Declared
from orograph.pipeline.sources.single_raster import HeightRaster, opened_heights, reject_overwriting
from orograph.pipeline.vertical import VerticalCatalogue
from orograph.pipeline.vertical.surface import to_degrees
from orograph.pipeline.vertical.windowed import WindowedShift

WINDOW_PX: Final = 2048


@dataclass(frozen=True, slots=True)
class HarmoniseRequest:
    """Options of a transformation.

    Attributes:
        frame_to: Target frame.
        frame_from: Frame of the heights; None takes the one declared by the file's metadata or compound CRS.
        nodata: Further void values.
        horizontal_crs: 2D CRS, for files that declare none.
        user_grid: The user's own grid.
        epoch: Decimal year, for dynamic frames.
        via: A frame to pass through.
        unit: Unit of the heights, where the file declares none.
        pixel: Points or areas, where the file's tag is wrong or missing.
        allow_outside: Let heights beyond the operation's area become void; otherwise they raise an error.
    """

    frame_to: str
    frame_from: str | None = None
    nodata: tuple[float, ...] = ()
    horizontal_crs: str | None = None
    user_grid: UserGrid | None = None
    epoch: float | None = None
    via: str | None = None
    unit: str | None = None
    pixel: PixelIs | None = None
    allow_outside: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame_to", frame_id(self.frame_to))


@dataclass(frozen=True, slots=True)
class Harmonised:
    """Record of a transformed raster.

    Attributes:
        record: The operation, as manifests record it.
        surface_error_m: Largest difference of the delta surface from the operation at 1,000 points.
        moved, void, outside: Pixels transformed, void before, and void because they are outside the operation's area.
        size_bytes: Size of the COG.
    """

    record: OperationRecord
    surface_error_m: float
    moved: int
    void: int
    outside: int
    size_bytes: int


def harmonise(source: Path, out: Path, request: HarmoniseRequest, grids_dir: Path) -> Harmonised:
    """Transform a raster's heights to another frame on its own grid; nodata stays nodata, nothing is resampled.

    Args:
        source: Any single-band height raster that GDAL reads, one band, metres, with axes along the pixels.
        out: The COG; it appears whole or not at all. Its metadata names the vertical datum.
        request: Target frame and options.
        grids_dir: Folder of the catalogue's grids.

    Raises:
        SourceMissing, SourceCorrupt, SourceGridError: the file cannot be used.
        ConfigError: `out` is the file itself.
        VerticalFrameMissing: neither the file nor the request names the frame.
        NodataError: it contains values that can only be undeclared nodata.
        VerticalError: see `VerticalCatalogue.operation` and `delta_surface`.
    """
    reject_overwriting(source, out)
    declared = Declared(
        horizontal_crs=request.horizontal_crs,
        vertical_frame=request.frame_from,
        nodata=request.nodata,
        unit=request.unit,
        pixel=request.pixel,
    )
    with opened_heights(source, declared) as raster:
        return _stream(raster, out, request, grids_dir, source.name)


def _stream(raster: HeightRaster, out: Path, request: HarmoniseRequest, grids_dir: Path, name: str) -> Harmonised:
    horizontal, frame_from = _frames(raster, name)
    whole = GeoBox(raster.shape, raster.transform, horizontal)
    operation = VerticalCatalogue.load().operation(
        frame_from,
        request.frame_to,
        grids_dir=grids_dir,
        user_grid=request.user_grid,
        epoch=request.epoch,
        via=request.via,
    )
    surface = WindowedShift.of(operation, whole)
    counts = np.zeros(3, dtype=np.int64)
    scratch_path = out.with_name(f".{out.name}.scratch.tif")
    with cog.scratch(scratch_path, whole) as writer:
        for window in tracked(list(windows(raster.shape, WINDOW_PX)), "harmonising"):
            heights, tally = _moved(raster, window, whole, surface)
            counts += tally
            writer.write(window, heights)
        if counts[2] and not counts[0]:
            raise _all_outside(raster, surface, name)
        if counts[2] and not request.allow_outside:
            raise OutsideAreaOfUse(
                f"{counts[2]} heights of {name} are outside the area of use of {operation.id}",
                source=name,
                remedy="cut the file, use another operation, or allow them to become void with --allow-outside",
            )
    info = cog.finish(
        scratch_path,
        out,
        band_names=("elevation",),
        band_units=("metre",),
        tags={
            "OROGRAPH_OPERATION": operation.id,
            "OROGRAPH_FRAME_FROM": frame_from,
            **vertical_tags(request.frame_to),
        },
    )
    moved, void, outside = (int(count) for count in counts)
    record = surface.record(name).model_copy(update={"heights_outside": outside})
    return Harmonised(record, surface.error_m, moved, void, outside, info.size_bytes)


def _moved(raster: HeightRaster, window: PixelWindow, whole: GeoBox, surface: WindowedShift) -> tuple[Any, Any]:
    heights = raster.read(window.row, window.col, window.height, window.width)
    valid = np.isfinite(heights)
    surface.add_to(heights, window.geobox(whole))
    void = heights.size - int(valid.sum())
    outside = int(np.count_nonzero(valid & ~np.isfinite(heights)))
    return heights, (heights.size - void - outside, void, outside)


def _all_outside(raster: HeightRaster, surface: WindowedShift, name: str) -> OutsideAreaOfUse:
    """The error of a raster that is outside the operation's area as a whole; it names the raster's centre."""
    x, y = raster.transform * (raster.shape[1] / 2, raster.shape[0] / 2)
    lon, lat = to_degrees(str(surface.whole.crs), np.array([x]), np.array([y]))
    return surface.operation.outside(float(lon[0]), float(lat[0])).at(source=name)


def _frames(raster: HeightRaster, name: str) -> tuple[str, str]:
    if raster.crs is None:
        raise SourceGridError(f"{name} has no CRS", source=name, remedy="name it with --crs")
    if raster.facts.vertical_frame is None:
        raise VerticalFrameMissing(
            f"{name} does not declare the vertical frame of its heights",
            source=name,
            remedy="name it with --from, e.g. --from EPSG:5709",
        )
    return raster.crs, raster.facts.vertical_frame
