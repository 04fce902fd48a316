"""Tile and cell grids: 50 km tiles of EPSG:3035, 1 degree cells, windows with halo.

Grids are odc-geo `GeoBox` values: CRS, affine and shape in one frozen object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from odc.geo.geobox import GeoBox
from rasterio.windows import Window as RasterioWindow

from orograph.pipeline.errors import BadIdentifier, ConfigError

TILE_CRS: Final = "EPSG:3035"
TILE_SIZE_M: Final = 50_000
TILE_SIZE_KM: Final = 50
# The EEA reference grid with the Azores, Canaries, Svalbard and Cyprus inside.
EAST_LIMITS_KM: Final = (900, 7400)
NORTH_LIMITS_KM: Final = (900, 6500)

_TILE_ID = re.compile(r"E(\d{4})N(\d{4})", re.ASCII)
_CELL_ID = re.compile(r"([NS])(\d{2})([EW])(\d{3})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A 50 km square of EPSG:3035, named by its south-west corner in kilometres: `E4300N2650`."""

    east_km: int
    north_km: int

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("easting", self.east_km, EAST_LIMITS_KM),
            ("northing", self.north_km, NORTH_LIMITS_KM),
        ):
            if value % TILE_SIZE_KM:
                raise BadIdentifier(
                    f"tile {name} {value} km is not a multiple of {TILE_SIZE_KM}", remedy="use ids such as E4300N2650"
                )
            if not low <= value < high:
                raise BadIdentifier(f"tile {name} {value} km is outside Europe ({low} to {high} km)")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id such as `E4300N2650`; anything else raises `BadIdentifier`."""
        match = _TILE_ID.fullmatch(text)
        if match is None:
            raise BadIdentifier(f"not a tile id: {text[:40]!r}", remedy="use ids such as E4300N2650")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def containing(cls, east_m: float, north_m: float) -> Self:
        """Return the tile that contains a point of EPSG:3035 (metres)."""
        return cls(
            math.floor(east_m / TILE_SIZE_M) * TILE_SIZE_KM,
            math.floor(north_m / TILE_SIZE_M) * TILE_SIZE_KM,
        )

    @property
    def id(self) -> str:
        """The tile's id."""
        return f"E{self.east_km:04d}N{self.north_km:04d}"

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """West, south, east, north in metres of EPSG:3035."""
        west, south = self.east_km * 1000.0, self.north_km * 1000.0
        return west, south, west + TILE_SIZE_M, south + TILE_SIZE_M

    def geobox(self, pixel_size_m: float) -> GeoBox:
        """The tile's pixel grid, north up, exact: `-te` is the tile, `-tr` the pixel size.

        Raises:
            ConfigError: the pixel size does not divide 50 km.
        """
        count = pixels_per_tile(pixel_size_m)
        geobox = GeoBox.from_bbox(self.bounds_m, TILE_CRS, shape=(count, count))
        affine, (west, _, _, north) = geobox.affine, self.bounds_m
        exact = (affine.a, affine.e, affine.c, affine.f) == (pixel_size_m, -pixel_size_m, west, north)
        if not exact:
            raise ConfigError(f"tile {self.id} at {pixel_size_m} m has an inexact transform {affine!r}")
        return geobox

    def neighbours(self) -> tuple[Tile, ...]:
        """The up to eight tiles that share an edge or a corner."""
        found = []
        for de in (-TILE_SIZE_KM, 0, TILE_SIZE_KM):
            for dn in (-TILE_SIZE_KM, 0, TILE_SIZE_KM):
                inside_e = EAST_LIMITS_KM[0] <= self.east_km + de < EAST_LIMITS_KM[1]
                inside_n = NORTH_LIMITS_KM[0] <= self.north_km + dn < NORTH_LIMITS_KM[1]
                if (de or dn) and inside_e and inside_n:
                    found.append(Tile(self.east_km + de, self.north_km + dn))
        return tuple(found)

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A 1 degree square of geographic ETRS89, named by its south-west corner as SRTM does: `N43E006`."""

    lat: int
    lon: int

    def __post_init__(self) -> None:
        if not (-90 <= self.lat < 90 and -180 <= self.lon < 180):
            raise BadIdentifier(f"cell corner {self.lat}, {self.lon} is not on the globe")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id such as `N43E006`; anything else raises `BadIdentifier`."""
        match = _CELL_ID.fullmatch(text)
        if match is None:
            raise BadIdentifier(f"not a cell id: {text[:40]!r}", remedy="use ids such as N43E006")
        lat = int(match[2]) * (1 if match[1] == "N" else -1)
        lon = int(match[4]) * (1 if match[3] == "E" else -1)
        cell = cls(lat, lon)
        if cell.id != text:
            raise BadIdentifier(f"cell id {text!r} should be written {cell.id!r}")
        return cell

    @property
    def id(self) -> str:
        """The cell's id."""
        ns, ew = "NS"[self.lat < 0], "EW"[self.lon < 0]
        return f"{ns}{abs(self.lat):02d}{ew}{abs(self.lon):03d}"

    @property
    def bounds_deg(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        return float(self.lon), float(self.lat), self.lon + 1.0, self.lat + 1.0

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True, order=True)
class PixelWindow:
    """A block of a raster in pixels; rows grow southwards."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ConfigError(f"empty window {self}")

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices into the full raster."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    @property
    def rasterio(self) -> RasterioWindow:
        """The same block for rasterio."""
        return RasterioWindow(self.col, self.row, self.width, self.height)

    def geobox(self, whole: GeoBox, halo_px: int = 0) -> GeoBox:
        """The block's own grid, widened by `halo_px` on each side; the halo may extend beyond `whole`."""
        inner = whole.translate_pix(self.col, self.row)
        inner = GeoBox((self.height, self.width), inner.affine, whole.crs)
        return inner.pad(halo_px) if halo_px else inner


def pixels_per_tile(pixel_size_m: float) -> int:
    """Return the width of a tile in pixels.

    Raises:
        ConfigError: the pixel size is below 1 m or does not divide 50 km.
    """
    if not pixel_size_m >= 1.0:
        raise ConfigError(f"pixel size {pixel_size_m} m is below 1 m", remedy="finer sources come out at 1 m")
    count = round(TILE_SIZE_M / pixel_size_m)
    if count < 1 or count * pixel_size_m != TILE_SIZE_M:
        raise ConfigError(
            f"pixel size {pixel_size_m} m does not divide a tile of {TILE_SIZE_M} m",
            remedy="use 1, 2, 2.5, 4, 5, 10, 12.5, 20, 25, 50 or 100",
        )
    return count


def windows(shape: tuple[int, int], size_px: int) -> Iterator[PixelWindow]:
    """Blocks of at most `size_px` squared that cover a raster, row by row, anchored at its upper left corner."""
    rows, cols = shape
    for row in range(0, rows, size_px):
        for col in range(0, cols, size_px):
            yield PixelWindow(row, col, min(size_px, rows - row), min(size_px, cols - col))


def tiles_in(west_m: float, south_m: float, east_m: float, north_m: float) -> tuple[Tile, ...]:
    """Return the tiles whose interior intersects a rectangle of EPSG:3035 (metres), south to north, west to east.

    Raises:
        BadIdentifier: part of the rectangle is outside Europe.
        ConfigError: the rectangle is empty.
    """
    if not (west_m < east_m and south_m < north_m):
        raise ConfigError(f"empty area {west_m}, {south_m}, {east_m}, {north_m}")
    size = TILE_SIZE_M
    easts = range(math.floor(west_m / size), math.ceil(east_m / size))
    norths = range(math.floor(south_m / size), math.ceil(north_m / size))
    return tuple(Tile(e * TILE_SIZE_KM, n * TILE_SIZE_KM) for n in norths for e in easts)
