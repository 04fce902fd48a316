"""Units of work: quadkey tiles of Web Mercator, and the 50 km tiles of the product."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from orograph.pipeline.core.grid import TILE_SIZE_KM, Tile, tiles_in
from orograph.pipeline.errors import BadIdentifier, ConfigError, SourceCorrupt
from orograph.pipeline.sources.single_raster import opened_heights

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
        """The tile's grid of `pixels` by `pixels`."""
        return GeoBox.from_bbox(self.bounds_m, "EPSG:3857", shape=(pixels, pixels))

    def __str__(self) -> str:
        return self.id


def quadkeys_in(west: float, south: float, east: float, north: float, zoom: int) -> tuple[Quadkey, ...]:
    """The quadkey tiles of a zoom that intersect a rectangle of EPSG:3857 (metres), north to south, west to east."""
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
        SourceMissing: the file does not exist.
        SourceCorrupt: it is not a raster.
        BandMismatch: it has another number of bands than one.
        SourceGridError: its heights are not in metres.
        NodataError: it contains values that can only be undeclared nodata.
    """
    with opened_heights(path) as raster:
        return raster.read_all(), GeoBox(raster.shape, raster.transform, raster.crs)


class TileCutter:
    """Cuts a raster into tiles; the surroundings of a tile consist of its neighbours' own pixels, bit for bit.

    Args:
        path: Raster of heights.
        zoom: Quadkey tiles of this zoom; 50 km tiles with None.
        pixels: Width of a tile in pixels.
        kept: Tiles kept in memory for their neighbours.
    """

    def __init__(self, path: Path, zoom: int | None, pixels: int, kept: int = 64) -> None:
        self._path, self._zoom, self._pixels = path, zoom, pixels
        self._cached = lru_cache(maxsize=kept)(self._cut)

    def units(self) -> tuple[Quadkey, ...] | tuple[Tile, ...]:
        """The tiles that the raster intersects.

        Raises:
            SourceMissing: the file does not exist.
            SourceGridError: the raster has no CRS.
        """
        with opened_heights(self._path) as raster:
            crs = "EPSG:3035" if self._zoom is None else "EPSG:3857"
            west, south, east, north = transform_bounds(raster.known_crs(), crs, *raster.bounds)
        if self._zoom is None:
            return tiles_in(west, south, east, north)
        return quadkeys_in(west, south, east, north, self._zoom)

    def geobox(self, unit: Quadkey | Tile) -> GeoBox:
        """The grid of a tile."""
        if isinstance(unit, Quadkey):
            return unit.geobox(self._pixels)
        return GeoBox.from_bbox(unit.bounds_m, "EPSG:3035", shape=(self._pixels, self._pixels))

    def heights(self, unit: Quadkey | Tile, halo_px: int = 0) -> np.ndarray:
        """A tile and `halo_px` pixels around it, warped (cubic), float32 with NaN for void.

        Raises:
            SourceCorrupt: the raster cannot be read.
            ConfigError: the halo is wider than a tile.
        """
        n = self._pixels
        if not 0 <= halo_px <= n:
            raise ConfigError(f"a halo of {halo_px} px around tiles of {n} px", remedy="use larger tiles")
        whole = np.full((3 * n, 3 * n), np.nan, dtype=np.float32)
        for down in (-1, 0, 1) if halo_px else (0,):
            for right in (-1, 0, 1) if halo_px else (0,):
                there = _neighbour(unit, right, down)
                if there is not None:
                    whole[(1 + down) * n : (2 + down) * n, (1 + right) * n : (2 + right) * n] = self._cached(there)
        return whole[n - halo_px : 2 * n + halo_px, n - halo_px : 2 * n + halo_px]

    def _cut(self, unit: Quadkey | Tile) -> np.ndarray:
        geobox = self.geobox(unit)
        try:
            with opened_heights(self._path) as raster:
                return raster.on(geobox, Resampling.cubic)
        except RasterioError as error:
            raise SourceCorrupt(f"{self._path.name} cannot be warped: {error}") from error


def _neighbour(unit: Quadkey | Tile, right: int, down: int) -> Quadkey | Tile | None:
    """The neighbouring tile at that offset to the right and below; None beyond the edge of the grid."""
    try:
        if isinstance(unit, Quadkey):
            return Quadkey(unit.zoom, unit.x + right, unit.y + down)
        return Tile(unit.east_km + TILE_SIZE_KM * right, unit.north_km - TILE_SIZE_KM * down)
    except BadIdentifier:
        return None
