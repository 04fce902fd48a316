"""Tiles of known ground for the tests of formats: any function of easting and northing, written as published."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyproj

from orograph.pipeline.core.grid import Tile, windows
from orograph.pipeline.formats import cog

Ground = Callable[[np.ndarray, np.ndarray], np.ndarray]
COMPOUND = pyproj.CRS("EPSG:3035+5621").to_wkt()


def plane(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    return 700 + (east - 4_300_000) * 2e-3 - (north - 2_650_000) * 3e-3


def hills(east: np.ndarray, north: np.ndarray) -> np.ndarray:
    return 800 + 350 * np.sin(east / 3100) * np.cos(north / 4300) + 40 * np.sin(east / 700 + north / 900)


def write_tile(folder: Path, tile: Tile, pixel_size_m: float, ground: Ground) -> Path:
    geobox = tile.geobox(pixel_size_m)
    path = folder / f"{tile}_elevation.tif"
    rows, cols = geobox.shape.shape
    west, _, _, north = tile.bounds_m
    with cog.scratch(folder / f"{tile}.scratch", geobox) as writer:
        for window in windows((rows, cols), 1024):
            easts = west + (window.col + np.arange(window.width) + 0.5) * pixel_size_m
            norths = north - (window.row + np.arange(window.height) + 0.5) * pixel_size_m
            heights = ground(easts[None, :], norths[:, None])
            writer.write(window, np.broadcast_to(heights, (window.height, window.width)).astype(np.float32))
    cog.finish(folder / f"{tile}.scratch", path, crs_wkt=COMPOUND, band_names=("elevation",), band_units=("m",))
    return path


def write_tiles(folder: Path, tiles: Iterable[Tile], pixel_size_m: float, ground: Ground) -> dict[Tile, Path]:
    return {tile: write_tile(folder, tile, pixel_size_m, ground) for tile in tiles}
