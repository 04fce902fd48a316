"""What a raster file says of itself, checked against what its source says of it, before a height is read."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import rasterio
from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.errors import RasterioError

from orograph.pipeline.core.grid import Cell
from orograph.pipeline.errors import SourceCorrupt, SourceGridError, SourceMissing
from orograph.pipeline.formats.vertical_datum import declared_datum
from orograph.pipeline.sources.catalogue import PixelIs, Source
from orograph.pipeline.sources.partial import RasterFile, path_of


@dataclass(frozen=True, slots=True)
class Header:
    """Grid and encoding of one file.

    Attributes:
        path: What GDAL opens.
        affine: Pixel to CRS, corner based whatever the file's convention.
        shape: Rows, columns.
        nodata: The declared value, None where there is none.
        dtype: Of the samples.
    """

    path: str
    affine: Affine
    shape: tuple[int, int]
    nodata: float | None
    dtype: str

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in the file's CRS."""
        west, north = self.affine.c, self.affine.f
        return west, north + self.shape[0] * self.affine.e, west + self.shape[1] * self.affine.a, north


def gdal_path(path: str) -> str:
    """The name GDAL opens a local file by; of a zip archive, its one raster.

    Raises:
        SourceCorrupt: the archive is broken or does not hold exactly one raster.
    """
    if not path.lower().endswith(".zip"):
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            inner = [name for name in archive.namelist() if name.lower().endswith((".hgt", ".tif", ".tiff"))]
    except (zipfile.BadZipFile, OSError) as error:
        raise SourceCorrupt(f"{path} is no zip archive: {error}") from error
    if len(inner) != 1:
        raise SourceCorrupt(f"{path} holds {len(inner)} rasters, expected one")
    return f"/vsizip/{path}/{inner[0]}"


def read_header(file: RasterFile | str, source: Source) -> Header:
    """Open a local file, or the sparse copy of a remote one, and check it against its source.

    Raises:
        SourceMissing: no such file.
        SourceCorrupt: not a raster, or an HGT whose name is not where it lies.
        SourceGridError: CRS missing or another than the source's, rotated or south-up grid, more than one band,
            or a pixel interpretation that contradicts the source's.
    """
    path = file if isinstance(file, str) else str(path_of(file))
    name = str(file) if isinstance(file, str | Path) else file.href
    if not Path(path).exists():
        raise SourceMissing(f"no file at {name}", source=source.id, remedy="check the href in the source catalogue")
    try:
        with rasterio.open(gdal_path(path)) as dataset:
            if dataset.count != 1:
                raise SourceGridError(
                    f"{name} has {dataset.count} bands, heights have one",
                    source=source.id,
                    remedy="extract the band of heights",
                )
            declared = dataset.crs
            affine = dataset.transform
            header = Header(gdal_path(path), affine, dataset.shape, dataset.nodata, dataset.dtypes[0])
            tags = dataset.tags()
            points = tags.get("AREA_OR_POINT") == "Point"
    except RasterioError as error:
        raise SourceCorrupt(
            f"{name} cannot be opened as a raster: {error}",
            source=source.id,
            remedy="fetch the file again, or take it out of the source catalogue",
        ) from error
    _check_crs(None if declared is None else declared.to_wkt(), tags, name, source)
    if affine.b or affine.d or affine.a <= 0 or affine.e >= 0:
        raise SourceGridError(
            f"{name} is rotated or not north-up: {tuple(affine)[:6]}",
            source=source.id,
            remedy="bring it to a north-up grid (gdalwarp) first",
        )
    _check_name(name, affine, header.shape, source)
    if points and source.pixel is PixelIs.AREA:
        raise SourceGridError(
            f"{name} declares points, its source declares areas",
            source=source.id,
            remedy="set `pixel: point` in the source catalogue if the file is right",
        )
    if source.pixel is PixelIs.POINT and not points:
        # The georeferencing ties points, but GDAL was told nothing of it: the corner lies half a pixel further out.
        header = replace(header, affine=affine @ Affine.translation(-0.5, -0.5))
    return header


def _check_crs(wkt: str | None, tags: Mapping[str, str], name: str, source: Source) -> None:
    if wkt is None:
        raise SourceGridError(
            f"{name} declares no CRS",
            source=source.id,
            remedy=f"assign {source.horizontal_crs} (gdal_edit.py -a_srs) if that is what it is in",
        )
    _check_vertical(wkt, tags, name, source)
    if not _same_horizontal(wkt, source.horizontal_crs):
        raise SourceGridError(
            f"{name} is in {CRS.from_wkt(wkt).name!r}, its source says {source.horizontal_crs}",
            source=source.id,
            remedy="correct horizontal_crs in the source catalogue",
        )


def _check_vertical(wkt: str, tags: Mapping[str, str], name: str, source: Source) -> None:
    """A file that declares its own vertical datum must not contradict its source."""
    declared = declared_datum(CRS.from_wkt(wkt), tags)
    if declared is not None and declared != source.vertical_frame.partition("@")[0]:
        raise SourceGridError(
            f"{name} declares vertical CRS {declared}, its source says {source.vertical_frame}",
            source=source.id,
            remedy="correct vertical_frame in the source catalogue, or the file",
        )


@lru_cache(maxsize=256)
def _same_horizontal(wkt: str, expected: str) -> bool:
    """Whether two CRS are one, but for axis order and names."""
    try:
        declared, wanted = CRS.from_wkt(wkt), CRS.from_user_input(expected)
    except CRSError:
        return False
    if declared.is_compound:
        declared = declared.sub_crs_list[0]
    if declared.equals(wanted, ignore_axis_order=True):
        return True
    # Files written by old software carry names and authority codes of their own; the numbers decide.
    ours, theirs = wanted.to_epsg(min_confidence=20), declared.to_epsg(min_confidence=20)
    return ours is not None and ours == theirs


def _check_name(name: str, affine: Affine, shape: tuple[int, int], source: Source) -> None:
    """An HGT file's georeferencing is its name; GDAL believes any, so at least the shape must be one of HGT's."""
    match = re.match(r"([NS]\d{2}[EW]\d{3})", Path(name).name.upper())
    if ".HGT" not in Path(name).name.upper():
        return
    if match is None or shape not in ((1201, 1201), (3601, 3601), (3601, 1801)):
        raise SourceCorrupt(f"{name} has no HGT name or shape {shape} no HGT has", source=source.id)
    cell = Cell.parse(match[1])
    west, north = affine.c + affine.a / 2, affine.f + affine.e / 2
    if abs(west - cell.lon) > 1e-9 or abs(north - cell.lat - 1) > 1e-9:
        raise SourceCorrupt(f"{name} lies at {west:.6f}, {north - 1:.6f}, not where its name says", source=source.id)
