"""Writes cloud-optimised GeoTIFFs from streamed windows, which are encoded once and then reordered.

Files store -32768 where arrays in memory have NaN: QGIS, OpenDEM's users and HGT tools expect a finite nodata value.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.errors import RasterioError

from orograph.pipeline.core.grid import windows
from orograph.pipeline.core.pixel_is import PixelIs
from orograph.pipeline.errors import ExportError
from orograph.pipeline.formats import tiff
from orograph.pipeline.formats.overviews import Overview
from orograph.pipeline.formats.scratch import (
    BLOCK_PX,
    HALVING_PX,
    NODATA,
    Compression,
    Encoding,
    ScratchWriter,
    halve_levels,
    note_path,
    remove,
    scratch,
    writing,
)
from orograph.pipeline.formats.statistics import BandStatistics

__all__ = [
    "BLOCK_PX",
    "NODATA",
    "CogInfo",
    "Compression",
    "Encoding",
    "Overview",
    "ScratchWriter",
    "finish",
    "peak_bytes",
    "scratch",
    "validate",
]


@dataclass(frozen=True, slots=True)
class CogInfo:
    """Description of a finished COG: statistics of each band, size in bytes."""

    statistics: tuple[BandStatistics, ...]
    size_bytes: int


def finish(
    scratch_path: Path,
    out_path: Path,
    *,
    crs_wkt: str | None = None,
    compression: Compression | None = None,
    lerc_max_error_m: float | None = None,
    overview: Overview | None = None,
    band_names: Sequence[str] = (),
    band_units: Sequence[str | None] = (),
    tags: Mapping[str, str] | None = None,
    colours: Mapping[int, tiff.Colour] | None = None,
    pixel_is: PixelIs = PixelIs.AREA,
) -> CogInfo:
    """Convert a scratch file to a COG: 512 px blocks, overviews, statistics, names; the scratch file is removed.

    Args:
        scratch_path: File written by `scratch`.
        out_path: The COG; it appears complete or not at all.
        crs_wkt: CRS as WKT; the scratch file's horizontal CRS when None.
        compression: Lossless ZSTD level 1 with predictor, or LERC + ZSTD (floats only); None as in the scratch file.
            A value that differs from the scratch file's is encoded a second time.
        lerc_max_error_m: Largest error LERC may make, metres; None as in the scratch file.
        overview: Resampling of overviews, which ignores voids; None as in the scratch file.
        band_names: Descriptions, one per band, or none.
        band_units: Units, one per band, or none.
        tags: Metadata of the file; must not change from run to run.
        colours: Colour table of a uint8 raster with one band.
        pixel_is: Pixel interpretation to declare; the grid is corner based either way.

    Raises:
        ExportError: the file is not a valid COG or its CRS was lost.
        DiskFull, StoreUnwritable: the file cannot be written.
    """
    partial = out_path.with_name(f".{out_path.name}.partial")
    try:
        how, halved = _encoding(scratch_path, compression, lerc_max_error_m, overview)
        statistics = _label(
            scratch_path, crs_wkt, band_names, band_units, {"AREA_OR_POINT": pixel_is.value.title(), **(tags or {})}
        )
        with writing(out_path):
            levels = halve_levels(scratch_path, how, first_exists=halved)
            size = tiff.assemble([tiff.read_level(level) for level in levels], partial, colours=colours)
        validate(partial, crs_wkt=crs_wkt, pixel_is=pixel_is)
        partial.replace(out_path)
    finally:
        remove(scratch_path)
        partial.unlink(missing_ok=True)
    return CogInfo(statistics, size)


def peak_bytes(shape: tuple[int, int], *, window_px: int = 1024, bands: int = 1) -> int:
    """Peak memory of streaming a raster of any shape through `scratch` and `finish`, without GDAL's block cache.

    A window, its sealed copy and its half, or a halving window with its half; the offsets of all tiles as int64; and
    a constant amount for rio-cogeo and the assembly.
    """
    window = 4 * min(window_px, max(shape)) ** 2
    halving = 4 * min(HALVING_PX, max(shape)) ** 2
    tiles = -(-shape[0] // BLOCK_PX) * -(-shape[1] // BLOCK_PX)
    return max(bands * window + 5 * window // 4, 5 * halving // 4) + 100 * tiles + 8_000_000


def validate(path: Path, *, crs_wkt: str | None = None, pixel_is: PixelIs | None = PixelIs.AREA) -> None:
    """Check that a file is a strictly valid COG and has the given CRS and pixel interpretation.

    Raises:
        ExportError: it is not valid, with rio-cogeo's reasons.
    """
    from rio_cogeo.cogeo import cog_validate

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            valid, errors, warned = cog_validate(str(path), strict=True, quiet=True)
        with rasterio.open(path) as dataset:
            survived = crs_wkt is None or dataset.crs == CRS.from_wkt(crs_wkt)
            declared = dataset.tags().get("AREA_OR_POINT", "").lower()
    except RasterioError as fault:
        raise ExportError(f"{path.name} cannot be opened as a COG: {fault}") from fault
    if not valid:
        raise ExportError(f"{path.name} is not a valid COG: {'; '.join([*errors, *warned])}")
    if not survived:
        raise ExportError(
            f"{path.name} lost its coordinate reference system", remedy="give a CRS that GeoTIFF can hold"
        )
    if pixel_is is not None and declared != pixel_is.value:
        raise ExportError(f"{path.name} does not declare its pixels as {pixel_is} (AREA_OR_POINT)")


def _encoding(
    path: Path, compression: Compression | None, lerc_max_error_m: float | None, overview: Overview | None
) -> tuple[Encoding, bool]:
    """The final encoding, and whether the first overview exists already; re-encodes if necessary."""
    try:
        note: dict[str, Any] = json.loads(note_path(path).read_text())
    except (OSError, ValueError) as fault:
        raise ExportError(f"{path.name} was not written by `scratch`: {fault}") from fault
    halved = note.pop("halved")
    noted = Encoding(**note)
    wanted = Encoding(
        compression or noted.compression,
        noted.lerc_max_error_m if lerc_max_error_m is None else lerc_max_error_m,
        overview or noted.overview,
    )
    with writing(path), rasterio.open(path) as dataset:
        dtype = dataset.dtypes[0]
    if wanted.options(dtype) != noted.options(dtype):
        _encode_again(path, wanted)
        return wanted, True
    return wanted, halved and wanted.overview == noted.overview


def _encode_again(path: Path, how: Encoding) -> None:
    again = path.with_name(f"{path.name}.again")
    with writing(path), rasterio.open(path) as source:
        geobox = GeoBox(source.shape, source.transform, source.crs)
        is_float = source.dtypes[0] == "float32"
        with scratch(
            again, geobox, dtype=source.dtypes[0], nodata=source.nodata, bands=source.count, encoding=how
        ) as writer:
            for window in windows(source.shape, HALVING_PX):
                values = source.read(window=window.rasterio)
                writer.write(window, np.where(values == NODATA, np.nan, values) if is_float else values)
    remove(path)
    for name in again.parent.glob(f"{again.name}*"):
        name.rename(path.with_name(path.name + name.name.removeprefix(again.name)))


def _label(
    path: Path,
    crs_wkt: str | None,
    band_names: Sequence[str],
    band_units: Sequence[str | None],
    tags: Mapping[str, str],
) -> tuple[BandStatistics, ...]:
    with writing(path), rasterio.open(path, "r+") as dataset:
        for named in (band_names, band_units):
            if named and len(named) != dataset.count:
                raise ExportError(f"{len(named)} names or units for {dataset.count} bands of {path.name}")
        if crs_wkt is not None:
            dataset.crs = CRS.from_wkt(crs_wkt)
        dataset.update_tags(**tags)
        for band, name in enumerate(band_names, start=1):
            dataset.set_band_description(band, name)
        for band, unit in enumerate(band_units, start=1):
            if unit is not None:
                dataset.set_band_unit(band, unit)
        return tuple(BandStatistics.from_tags(dataset.tags(band)) for band in dataset.indexes)
