"""Reads rasters for training: typed errors on opening, and resampling to another grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from orograph.pipeline.errors import ConfigError, NoOverlap, SourceCorrupt, SourceMissing
from orograph.pipeline.sources.single_raster import opened_heights


def opened(path: Path) -> Any:
    """An open dataset.

    Raises:
        SourceMissing: the file does not exist.
        SourceCorrupt: it is not a raster.
    """
    if not path.exists():
        raise SourceMissing(f"no raster {path}")
    try:
        return rasterio.open(path)
    except RasterioError as error:
        raise SourceCorrupt(f"{path.name} cannot be read as a raster: {error}") from error


def grid_at(path: Path, pixel_size_m: float) -> GeoBox:
    """A raster's own extent at another pixel size (metres; the CRS must be projected in metres)."""
    with opened_heights(path) as raster:
        if raster.crs is None or not CRS.from_user_input(raster.crs).is_projected:
            raise ConfigError(f"{path.name} has no projected CRS", remedy="warp it to one in metres")
        return GeoBox.from_bbox(raster.bounds, raster.crs, resolution=pixel_size_m, tight=True)


def read_on(path: Path, grid: GeoBox) -> np.ndarray:
    """Read one band on another grid, float32 with NaN for void: averaged if coarser, bilinear if finer.

    Raises:
        SourceMissing: the file does not exist.
        SourceCorrupt: it is not a raster.
        BandMismatch: it has more than one band.
        NoOverlap: it does not overlap the grid, or one of them has no CRS.
        NodataError, SourceGridError: see `HeightRaster.read` and `read_facts`.
    """
    with opened_heights(path) as raster:
        if grid.crs is None or raster.crs is None:
            raise NoOverlap(f"{path.name} or the target grid has no CRS", remedy="assign one with gdal_edit -a_srs")
        coarser = abs(grid.resolution.x) > 1.2 * raster.transform.a
        target = raster.on(grid, Resampling.average if coarser else Resampling.bilinear)
    if not np.isfinite(target).any():
        raise NoOverlap(f"{path.name} does not overlap the other raster", remedy="check both extents and CRSs")
    return target
