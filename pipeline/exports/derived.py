"""Files derived from one 50 km tile and its neighbours: slope and hillshade COGs, contours."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np

from orograph.pipeline.core.grid import TILE_CRS, TILE_SIZE_M, Tile, windows
from orograph.pipeline.core.progress import tracked
from orograph.pipeline.errors import AllVoid, ConfigError
from orograph.pipeline.exports.mosaic import FloatArray, Mosaic
from orograph.pipeline.formats import cog
from orograph.pipeline.formats.contours import Contours, Line, trace, write_contours
from orograph.pipeline.formats.hillshade import hillshade, slope

WINDOW_PX: Final = 1024
Shading = Literal["hillshade", "slope"]


def write_shading(mosaic: Mosaic, tile: Tile, out_path: Path, kind: Shading) -> cog.CogInfo:
    """Write a tile's multidirectional hillshade (uint8, 0 void) or slope (float32 degrees) as COG, streamed.

    Pixels on the tile's edge use the neighbours' heights if those are in the mosaic.

    Raises:
        ExportError, DiskFull, StoreUnwritable: as `cog.finish`.
    """
    scratch = out_path.with_name(f".{out_path.name}.scratch")
    geobox = tile.geobox(mosaic.pixel_size_m)
    shaded = kind == "hillshade"
    with cog.scratch(scratch, geobox, dtype="uint8" if shaded else "float32", nodata=0 if shaded else None) as writer:
        for window in tracked(list(windows(geobox.shape.shape, WINDOW_PX)), kind):
            heights = mosaic.read_tile(tile, window, halo_px=1)
            shade = hillshade if shaded else slope
            writer.write(window, shade(heights, mosaic.pixel_size_m))
    return cog.finish(scratch, out_path, band_names=(kind,), band_units=(None if shaded else "degree",))


def write_picture(shade: Path, out_path: Path) -> None:
    """Write a hillshade COG as a grey PNG with transparent voids, cropped to the pixels that have data.

    Raises:
        AllVoid: there are no such pixels.
    """
    import rasterio
    from PIL import Image

    with rasterio.open(shade) as dataset:
        grey = dataset.read(1)
    known = grey > 0
    if not known.any():
        raise AllVoid("there are no heights to draw")
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    alpha = np.where(known[part], 255, 0).astype(np.uint8)
    # The smallest file would take a minute of a 10 m tile, a tenth larger takes two seconds.
    Image.fromarray(np.stack([grey[part], alpha], axis=-1), "LA").save(out_path, compress_level=4)


def tile_contours(mosaic: Mosaic, tile: Tile, *, spacing_m: float = 25.0, interval_m: float = 25.0) -> Contours:
    """Contours of a tile from points every `spacing_m`, its edges included, so that neighbours' lines join.

    Raises:
        ConfigError: the spacing does not divide 50 km, or is finer than the tiles' pixels.
    """
    steps = round(TILE_SIZE_M / spacing_m) if spacing_m > 0 else 0
    if steps < 1 or steps * spacing_m != TILE_SIZE_M or spacing_m < mosaic.pixel_size_m:
        raise ConfigError(
            f"a contour lattice of {spacing_m} m does not fit tiles of {mosaic.pixel_size_m} m pixels",
            remedy="use a multiple of the pixel size that divides 50 km",
        )
    return trace(_points(mosaic, tile, spacing_m, steps), interval_m)


def write_tile_contours(
    mosaic: Mosaic, tile: Tile, out_path: Path, *, spacing_m: float = 25.0, interval_m: float = 25.0
) -> int:
    """Write a tile's contours in EPSG:3035 as `.shp`, `.gpkg` or `.fgb`; returns the number of lines."""
    found = tile_contours(mosaic, tile, spacing_m=spacing_m, interval_m=interval_m)
    west, _, _, north = tile.bounds_m

    def place(points: Line) -> Line:
        return np.column_stack([west + points[:, 0] * spacing_m, north - points[:, 1] * spacing_m])

    return write_contours(found, out_path, place=place, crs=TILE_CRS, layer="contours")


def _points(mosaic: Mosaic, tile: Tile, spacing_m: float, steps: int) -> FloatArray:
    west, _, _, north = tile.bounds_m
    heights = np.empty((steps + 1, steps + 1), np.float32)
    level = mosaic.level_for(spacing_m)
    for window in tracked(list(windows(heights.shape, 512)), "sampling heights"):
        rows, cols = np.arange(window.height) + window.row, np.arange(window.width) + window.col
        east, up = np.meshgrid(west + cols * spacing_m, north - rows * spacing_m)
        spacing = np.full(window.height, spacing_m)
        heights[window.slices] = mosaic.sample_points(east, up, spacing, spacing, level=level)
    return heights
