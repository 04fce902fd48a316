"""Rasters read for training: opened with clear errors, and put on another grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject

from orograph.pipeline.errors import (
    BandMismatch,
    ConfigError,
    HeightsNotFinite,
    NoOverlap,
    SourceCorrupt,
    SourceMissing,
)


def opened(path: Path) -> Any:
    """An open dataset.

    Raises:
        SourceMissing: there is no such file.
        SourceCorrupt: it is no raster.
    """
    if not path.exists():
        raise SourceMissing(f"no raster {path}")
    try:
        return rasterio.open(path)
    except RasterioError as error:
        raise SourceCorrupt(f"{path.name} cannot be read as a raster: {error}") from error


def grid_at(path: Path, pixel_size_m: float) -> GeoBox:
    """A raster's own extent at another pixel size (metres; the CRS must be projected in metres)."""
    with opened(path) as dataset:
        if dataset.crs is None or not dataset.crs.is_projected:
            raise ConfigError(f"{path.name} has no projected CRS", remedy="warp it to one in metres")
        return GeoBox.from_bbox(tuple(dataset.bounds), str(dataset.crs), resolution=pixel_size_m, tight=True)


def read_on(path: Path, grid: GeoBox) -> np.ndarray:
    """One band on another grid, float32 with NaN for void: mean when it becomes coarser, bilinear when finer.

    Raises:
        SourceMissing: there is no such file.
        SourceCorrupt: it is no raster.
        BandMismatch: it has more bands than one.
        NoOverlap: it shares no ground with the grid, or one of them has no CRS.
        HeightsNotFinite: it holds infinite heights.
    """
    target = np.full(grid.shape, np.nan, dtype=np.float32)
    with opened(path) as dataset:
        if dataset.count != 1:
            raise BandMismatch(f"{path.name} has {dataset.count} bands, heights have one")
        if grid.crs is None or dataset.crs is None:
            raise NoOverlap(
                f"{path.name} or the grid it is put on has no CRS", remedy="assign one with gdal_edit -a_srs"
            )
        coarser = abs(grid.resolution.x) > 1.2 * dataset.res[0]
        reproject(
            rasterio.band(dataset, 1),
            target,
            dst_transform=grid.affine,
            dst_crs=str(grid.crs),
            dst_nodata=np.nan,
            resampling=Resampling.average if coarser else Resampling.bilinear,
        )
    if np.isinf(target).any():
        raise HeightsNotFinite(f"{path.name} holds infinite heights", remedy="mark them as nodata")
    if not np.isfinite(target).any():
        raise NoOverlap(f"{path.name} shares no ground with the other raster", remedy="check both extents and CRSs")
    return target
