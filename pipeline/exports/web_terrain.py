"""Writes one PMTiles archive of terrain-RGB for MapLibre from the tiles of a mosaic, and a mask of the voids.

MapLibre decodes every pixel of a raster-dem tile as a height and has no nodata value. Tiles without any height are
omitted, voids inside the others get the nearest height (a flat apron, neither a cliff nor sea), and a GeoJSON of the
voids is written next to the archive. Maps draw it over the terrain, so that no terrain is shown where none is known.
"""

from __future__ import annotations

import io
import json
import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from orograph.pipeline.core.progress import tracked
from orograph.pipeline.errors import AllVoid, ConfigError
from orograph.pipeline.exports.mosaic import FloatArray, Mosaic
from orograph.pipeline.exports.sampling import SampleGrid
from orograph.pipeline.formats.scratch import writing
from orograph.pipeline.formats.terrain_rgb import ColourCode, encode, extended

TILE_PX: Final = 512
_MASK_PX: Final = 4
_CIRCUMFERENCE_M: Final = 2 * math.pi * 6_378_137.0
_FINEST_STEP_M: Final = 0.125
"""Height step of the deepest zoom; terraces on flat land are invisible below a quarter of a metre."""
_COARSEST_STEP_M: Final = 0.5


@dataclass(frozen=True, slots=True, order=True)
class WebTile:
    """A square of the web Mercator pyramid; rows grow southwards."""

    zoom: int
    col: int
    row: int

    @property
    def bounds_deg(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        count = 2**self.zoom
        west, east = self.col / count * 360 - 180, (self.col + 1) / count * 360 - 180
        return west, _latitude((self.row + 1) / count), east, _latitude(self.row / count)

    @property
    def children(self) -> tuple[WebTile, WebTile, WebTile, WebTile]:
        """The four tiles one zoom deeper: north-west, north-east, south-west, south-east."""
        zoom, col, row = self.zoom + 1, 2 * self.col, 2 * self.row
        return (
            WebTile(zoom, col, row),
            WebTile(zoom, col + 1, row),
            WebTile(zoom, col, row + 1),
            WebTile(zoom, col + 1, row + 1),
        )

    def lattice(self) -> SampleGrid:
        """The centres of the tile's pixels; coordinates are quotients, equal wherever they are computed."""
        side = 2**self.zoom * TILE_PX
        lats = np.array([_latitude((2 * (self.row * TILE_PX + i) + 1) / (2 * side)) for i in range(TILE_PX)])
        lons = np.array([(2 * (self.col * TILE_PX + i) + 1) / (2 * side) * 360 - 180 for i in range(TILE_PX)])
        middle = float(lats[TILE_PX // 2])
        return SampleGrid(lats, lons, 360 / side * math.cos(math.radians(middle)), 360 / side)


@dataclass(frozen=True, slots=True)
class WebTerrainInfo:
    """A finished archive: tiles, zooms, bounds (west, south, east, north in degrees), void areas in the mask."""

    tiles: int
    min_zoom: int
    max_zoom: int
    bounds_deg: tuple[float, float, float, float]
    void_areas: int
    size_bytes: int


def zoom_for(pixel_size_m: float, latitude_deg: float) -> int:
    """The zoom whose pixels are at most 1.5 times as large as the tiles' own."""
    ground = _CIRCUMFERENCE_M * math.cos(math.radians(latitude_deg)) / TILE_PX
    return max(0, math.ceil(math.log2(ground / (1.5 * pixel_size_m))))


def write_web_terrain(
    mosaic: Mosaic,
    out_path: Path,
    *,
    code: ColourCode = "terrarium",
    max_zoom: int | None = None,
    min_zoom: int = 0,
    attribution: str = "",
) -> WebTerrainInfo:
    """Write the archive, and `<stem>_void.geojson` next to it.

    Args:
        mosaic: The tiles; all of them are covered.
        out_path: `.pmtiles`, 512 px PNG tiles.
        code: `terrarium` or `mapbox`.
        max_zoom: Deepest zoom; by default the one whose pixels match the tiles'.
        min_zoom: Shallowest zoom.
        attribution: Shown by map viewers.

    Raises:
        AllVoid: the mosaic contains no height.
        ConfigError: invalid zooms.
        DiskFull, StoreUnwritable: the file cannot be written.
    """
    bounds = _bounds(mosaic)
    deepest = zoom_for(mosaic.pixel_size_m, (bounds[1] + bounds[3]) / 2) if max_zoom is None else max_zoom
    if not 0 <= min_zoom <= deepest <= 18:
        raise ConfigError(f"zooms {min_zoom} to {deepest} are not within 0 to 18")
    partial = out_path.with_name(f".{out_path.name}.partial")
    mask_path = out_path.with_name(f"{out_path.stem}_void.geojson")
    try:
        with tempfile.TemporaryFile(dir=out_path.parent) as spool:
            pyramid = _Pyramid(mosaic, bounds, deepest, min_zoom, code, spool)
            pyramid.build()
            if not pyramid.places:
                raise AllVoid("the tiles contain no height for web terrain")
            with writing(out_path):
                pyramid.write(partial, _header(bounds, deepest), _metadata(out_path.stem, code, attribution))
                mask = _mask(pyramid.squares, pyramid.voids)
                mask_path.write_text(json.dumps(mask, separators=(",", ":")))
                partial.replace(out_path)
    finally:
        partial.unlink(missing_ok=True)
    size = out_path.stat().st_size
    return WebTerrainInfo(len(pyramid.places), min_zoom, deepest, bounds, len(pyramid.voids), size)


@dataclass(slots=True)
class _Pyramid:
    """Depth first: a tile's heights are the means of its children, so no level is sampled twice."""

    mosaic: Mosaic
    bounds: tuple[float, float, float, float]
    deepest: int
    shallowest: int
    code: ColourCode
    spool: Any
    places: dict[WebTile, tuple[int, int]] = field(default_factory=dict)
    squares: list[tuple[float, float, float, float]] = field(default_factory=list)
    voids: list[Any] = field(default_factory=list)

    def build(self) -> None:
        self._tile(WebTile(0, 0, 0))

    def _tile(self, tile: WebTile) -> FloatArray | None:
        west, south, east, north = tile.bounds_deg
        if east <= self.bounds[0] or west >= self.bounds[2] or north <= self.bounds[1] or south >= self.bounds[3]:
            return None
        if tile.zoom == self.deepest:
            heights = self.mosaic.sample(tile.lattice())
        else:
            quarters = [self._tile(child) for child in tile.children]
            if all(quarter is None for quarter in quarters):
                return None
            heights = np.full((2 * TILE_PX, 2 * TILE_PX), np.nan, np.float32)
            for number, quarter in enumerate(quarters):
                if quarter is not None:
                    row, col = number // 2 * TILE_PX, number % 2 * TILE_PX
                    heights[row : row + TILE_PX, col : col + TILE_PX] = quarter
            heights = _halved(heights)
        if not np.isfinite(heights).any():
            return None
        if tile.zoom == self.deepest:
            self.squares.append(tile.bounds_deg)
            self.voids.extend(_void_areas(tile, heights))
        if tile.zoom >= self.shallowest:
            self._keep(tile, heights)
        return heights

    def _keep(self, tile: WebTile, heights: FloatArray) -> None:
        from PIL import Image

        step = min(_COARSEST_STEP_M, _FINEST_STEP_M * 2.0 ** (self.deepest - tile.zoom))
        picture = io.BytesIO()
        colours = encode(extended(heights), self.code, step_m=step)
        Image.fromarray(colours, "RGB").save(picture, "PNG", compress_level=6)
        data = picture.getvalue()
        with writing("web terrain"):
            self.places[tile] = (self.spool.tell(), len(data))
            self.spool.write(data)

    def write(self, path: Path, header: dict[str, Any], metadata: dict[str, Any]) -> None:
        from pmtiles.tile import zxy_to_tileid
        from pmtiles.writer import Writer

        ordered = sorted((zxy_to_tileid(tile.zoom, tile.col, tile.row), tile) for tile in self.places)
        with path.open("wb") as out:
            writer: Any = Writer(out)  # type: ignore[no-untyped-call]
            for number, tile in tracked(ordered, "web terrain"):
                start, length = self.places[tile]
                self.spool.seek(start)
                writer.write_tile(number, self.spool.read(length))
            writer.finalize(header, metadata)


def _halved(heights: FloatArray) -> FloatArray:
    from orograph.pipeline.formats.overviews import halve
    from orograph.pipeline.formats.scratch import NODATA

    sealed = np.where(np.isfinite(heights), heights, np.float32(NODATA)).astype(np.float32)
    half = halve(sealed, "average", NODATA)
    half[half == np.float32(NODATA)] = np.nan
    return np.asarray(half, np.float32)


def _void_areas(tile: WebTile, heights: FloatArray) -> Iterator[Any]:
    """Polygons (longitude, latitude) of the tile's voids, grown to whole blocks of 4 pixels."""
    void = ~np.isfinite(heights)
    if not void.any():
        return
    from rasterio.features import shapes

    side = TILE_PX // _MASK_PX
    blocks = void.reshape(side, _MASK_PX, side, _MASK_PX).any(axis=(1, 3)).astype(np.uint8)
    count = 2**tile.zoom
    for shape, value in shapes(blocks, mask=blocks == 1, connectivity=4):
        if value == 1:
            yield [
                [
                    (
                        round((tile.col + x / side) / count * 360 - 180, 7),
                        round(_latitude((tile.row + y / side) / count), 7),
                    )
                    for x, y in ring
                ]
                for ring in shape["coordinates"]
            ]


def _mask(squares: list[tuple[float, float, float, float]], voids: list[Any]) -> dict[str, Any]:
    """Mask of everything except terrain: the world without the deepest tiles with heights, and the voids inside those.

    Shallower tiles and their apron extend far beyond the data, so the mask must extend as far.
    """
    import shapely

    world = shapely.box(-180.0, _latitude(1.0), 180.0, _latitude(0.0))
    held = shapely.union_all([shapely.box(*(round(value, 7) for value in square)) for square in squares])
    inside = [shapely.Polygon(rings[0], rings[1:]) for rings in voids]
    outside = shapely.difference(world, held)
    geometry = shapely.geometry.mapping(shapely.normalize(shapely.union_all([outside, *inside])))
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": {"void": True}, "geometry": geometry}],
    }


def _bounds(mosaic: Mosaic) -> tuple[float, float, float, float]:
    from pyproj import Transformer

    transformer = Transformer.from_crs("EPSG:3035", "EPSG:4258", always_xy=True, allow_ballpark=False)
    each = np.array([transformer.transform_bounds(*tile.bounds_m, densify_pts=21) for tile in mosaic.tiles])
    west, south, _, _ = each.min(axis=0)
    _, _, east, north = each.max(axis=0)
    return float(west), float(south), float(east), float(north)


def _header(bounds: tuple[float, float, float, float], deepest: int) -> dict[str, Any]:
    from pmtiles.tile import Compression, TileType

    west, south, east, north = (round(value * 1e7) for value in bounds)
    return {
        "tile_type": TileType.PNG,
        "tile_compression": Compression.NONE,
        "min_lon_e7": west,
        "min_lat_e7": south,
        "max_lon_e7": east,
        "max_lat_e7": north,
        "center_zoom": max(0, deepest - 2),
        "center_lon_e7": (west + east) // 2,
        "center_lat_e7": (south + north) // 2,
    }


def _metadata(name: str, code: ColourCode, attribution: str) -> dict[str, Any]:
    return {"name": name, "format": "png", "type": "overlay", "encoding": code, "attribution": attribution}


def _latitude(fraction: float) -> float:
    """Latitude in degrees of a fraction of the web Mercator square, from its northern edge."""
    return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * fraction))))
