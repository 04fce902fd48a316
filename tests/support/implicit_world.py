"""Rough terrain on a grid of 10 m for tests of implicit models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox


def ground(rows: int, cols: int, row: int = 0, col: int = 0) -> np.ndarray:
    y, x = np.mgrid[row : row + rows, col : col + cols].astype(np.float64)
    waves = (
        40 * np.sin(x / 9 + 0.3) * np.cos(y / 13) + 12 * np.sin((x + 2 * y) / 5) + 4 * np.sin(x / 2.1) * np.sin(y / 2.7)
    )
    return (800 + waves).astype(np.float32)


def box(rows: int, cols: int, row: int = 0, col: int = 0, crs: str = "EPSG:32633") -> GeoBox:
    return GeoBox((rows, cols), Affine(10, 0, 500_000 + 10 * col, 0, -10, 5_200_000 - 10 * row), crs)


def write(path: Path, heights: np.ndarray, geobox: GeoBox, bands: int = 1) -> Path:
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": bands, "height": heights.shape[0], "width": heights.shape[1],
        "crs": str(geobox.crs) if geobox.crs else None, "transform": geobox.affine, "nodata": -9999.0,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        for band in range(1, bands + 1):
            dataset.write(np.nan_to_num(heights, nan=-9999.0), band)
    return path
