"""Units of work: quadkey tiles of Web Mercator, and the 50 km tiles of the product."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from pipeline.errors import BadIdentifier, BandMismatch, SourceCorrupt, SourceGridError, SourceMissing
from pipeline.grid import Tile, tiles_in

_HALF_WORLD_M: Final = 20037508.342789244
_QUADKEY = re.compile(r"[0-3]{1,23}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Quadkey:
    """A tile of Web Mercator (EPSG:3857) by zoom, column from the west and row from the north."""

    zoom: int
    x: int
    y: int

    def __post_init__(self) -> None:
        side = 1 << self.zoom if 1 <= self.zoom <= 23 else 0
        if not (0 <= self.x < side and 0 <= self.y < side):
            raise BadIdentifier(f"no tile {self.zoom}/{self.x}/{self.y} in Web Mercator")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a quadkey such as `1202213002`; anything else raises `BadIdentifier`."""
        if _QUADKEY.fullmatch(text) is None:
            raise BadIdentifier(f"not a quadkey: {text[:40]!r}", remedy="use up to 23 digits 0 to 3")
        x = int("".join(str(int(digit) & 1) for digit in text), 2)
        y = int("".join(str(int(digit) >> 1) for digit in text), 2)
        return cls(len(text), x, y)

    @property
    def id(self) -> str:
        """The quadkey."""
        bits = range(self.zoom - 1, -1, -1)
        return "".join(str((self.x >> bit & 1) + 2 * (self.y >> bit & 1)) for bit in bits)

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres of EPSG:3857."""
        size = 2.0 * _HALF_WORLD_M / (1 << self.zoom)
        west, north = self.x * size - _HALF_WORLD_M, _HALF_WORLD_M - self.y * size
        return west, _HALF_WORLD_M - (self.y + 1) * size, (self.x + 1) * size - _HALF_WORLD_M, north

    def geobox(self, pixels: int = 512) -> GeoBox:
        """The tile's grid of `pixels` squared."""
        return GeoBox.from_bbox(self.bounds_m, "EPSG:3857", shape=(pixels, pixels))

    def __str__(self) -> str:
        return self.id


def quadkeys_in(west: float, south: float, east: float, north: float, zoom: int) -> tuple[Quadkey, ...]:
    """The quadkey tiles of a zoom that meet a rectangle of EPSG:3857 (metres), north to south, west to east."""
    size = 2.0 * _HALF_WORLD_M / (1 << zoom)
    last = (1 << zoom) - 1
    columns = (max(0, math.floor((west + _HALF_WORLD_M) / size)), math.ceil((east + _HALF_WORLD_M) / size) - 1)
    rows = (max(0, math.floor((_HALF_WORLD_M - north) / size)), math.ceil((_HALF_WORLD_M - south) / size) - 1)
    return tuple(
        Quadkey(zoom, x, y)
        for y in range(rows[0], min(rows[1], last) + 1)
        for x in range(columns[0], min(columns[1], last) + 1)
    )


def read_heights(path: Path) -> tuple[np.ndarray, GeoBox]:
    """One band of heights, float32 with NaN for nodata, and its grid.

    Raises:
        SourceMissing: there is no such file.
        SourceCorrupt: it is no raster.
        BandMismatch: it has another number of bands than one.
    """
    if not path.exists():
        raise SourceMissing(f"no raster {path}")
    try:
        with rasterio.open(path) as dataset:
            if dataset.count != 1:
                raise BandMismatch(
                    f"{path.name} has {dataset.count} bands, heights have one",
                    remedy="extract the band with gdal_translate -b",
                )
            heights = dataset.read(1, masked=True, out_dtype="float32").filled(np.nan)
            return heights, GeoBox(dataset.shape, dataset.transform, dataset.crs)
    except RasterioError as error:
        raise SourceCorrupt(f"{path.name} cannot be read as a raster: {error}") from error


def cut(path: Path, geobox: GeoBox, halo_px: int = 0) -> np.ndarray:
    """A raster warped (cubic) to a tile's grid and its surroundings, float32 with NaN for void.

    Each pixel depends on the source around it alone, so neighbouring tiles read the same heights where they overlap.
    """
    wide = geobox.pad(halo_px) if halo_px else geobox
    try:
        with (
            rasterio.open(path) as dataset,
            WarpedVRT(
                dataset,
                crs=str(wide.crs),
                transform=wide.affine,
                height=wide.shape[0],
                width=wide.shape[1],
                resampling=Resampling.cubic,
                nodata=np.nan,
                dtype="float32",
                # An approximated transformation would depend on the window.
                warp_extras={"SAMPLE_GRID": "YES"},
                tolerance=0.0,
            ) as warped,
        ):
            return np.asarray(warped.read(1), dtype=np.float32)
    except RasterioError as error:
        raise SourceCorrupt(f"{path.name} cannot be warped: {error}") from error


def tiles_of(path: Path, zoom: int | None, pixels: int) -> Iterator[tuple[str, GeoBox]]:
    """Names and grids of the tiles a raster touches: quadkeys of a zoom, or 50 km tiles with `zoom` None.

    `pixels` is the width of a tile in pixels.
    """
    with rasterio.open(path) as dataset:
        if dataset.crs is None:
            raise SourceGridError(f"{path.name} has no CRS", remedy="assign one with gdal_edit -a_srs")
        crs = "EPSG:3857" if zoom is not None else "EPSG:3035"
        bounds = transform_bounds(dataset.crs, crs, *dataset.bounds)
    units: tuple[Quadkey, ...] | tuple[Tile, ...]
    if zoom is not None:
        west, south, east, north = bounds
        units = quadkeys_in(west, south, east, north, zoom)
        yield from ((unit.id, unit.geobox(pixels)) for unit in units)
    else:
        units = tiles_in(*bounds)
        yield from ((unit.id, GeoBox.from_bbox(unit.bounds_m, "EPSG:3035", shape=(pixels, pixels))) for unit in units)
