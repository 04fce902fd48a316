"""Copies rasters, or the parts of them in an area, as lossless COGs with unchanged pixels."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, Final

import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError, WindowError
from rasterio.shutil import copy as copy_raster
from rasterio.warp import transform_bounds
from rasterio.windows import Window, from_bounds

from orograph.pipeline.errors import OrographError, SourceCorrupt
from orograph.pipeline.sources.listings import Bounds
from orograph.pipeline.sources.partial import RasterFile, ensure, path_of
from orograph.pipeline.sources.source_index import FOOTPRINT_CRS

_COG: Final = {"driver": "COG", "compress": "DEFLATE", "predictor": "YES", "blocksize": 512, "bigtiff": "IF_SAFER"}
_PLAIN: Final = {"driver": "GTiff", "tiled": True, "blockxsize": 512, "blockysize": 512, "bigtiff": "IF_SAFER"}
_BAND_ROWS: Final = 512
_EDGE_POINTS: Final = 41


def window_in(raster: RasterFile, crs: str, area_deg: Bounds) -> Window | None:
    """Pixel window of a raster in an area, rounded outwards to whole pixels; None if the raster is outside.

    Args:
        raster: A raster, or the sparse copy of a remote one.
        crs: CRS of a raster that declares none.
        area_deg: West, south, east, north.

    Raises:
        SourceCorrupt: not a raster.
    """
    try:
        with rasterio.open(path_of(raster)) as dataset:
            full = Window(0, 0, dataset.width, dataset.height)
            bounds = transform_bounds(FOOTPRINT_CRS, dataset.crs or crs, *area_deg, densify_pts=_EDGE_POINTS)
            is_north_up = dataset.transform.is_rectilinear and dataset.transform.a > 0 > dataset.transform.e
            if not is_north_up or not all(map(math.isfinite, bounds)):
                return full  # other orders of rows, and areas that the CRS cannot express, are kept whole
            window = from_bounds(*bounds, transform=dataset.transform)
            col, row = math.floor(window.col_off + 1e-6), math.floor(window.row_off + 1e-6)
            end_col = math.ceil(window.col_off + window.width - 1e-6)
            end_row = math.ceil(window.row_off + window.height - 1e-6)
            return full.intersection(Window(col, row, max(1, end_col - col), max(1, end_row - row)))
    except WindowError:
        return None
    except RasterioError as error:
        raise SourceCorrupt(f"{path_of(raster).name} cannot be opened as a raster: {error}") from error


def is_whole(raster: RasterFile, window: Window) -> bool:
    """Whether a window covers the whole raster."""
    with rasterio.open(path_of(raster)) as dataset:
        return bool((window.width, window.height) == (dataset.width, dataset.height))


def write_cog(raster: RasterFile, window: Window | None, cog: Path, href: str) -> None:
    """Copy a window of a raster, or all of it, as a lossless COG; of a remote raster only the window's blocks are read.

    Raises:
        SourceCorrupt: it cannot be read or copied.
        SourceChanged, SourceMissing, SourceInaccessible, SourceUnavailable: a block of a remote raster cannot be read.
    """
    try:
        if window is None:
            copy_raster(path_of(raster), cog, **_COG)
            return
        with tempfile.TemporaryDirectory(prefix="orograph-crop-", dir=cog.parent) as scratch:
            part = Path(scratch) / "part.tif"
            _write_window(raster, window, part)
            copy_raster(part, cog, **_COG)
    except OrographError:
        raise
    except RasterioError as error:
        raise SourceCorrupt(
            f"{path_of(raster).name} cannot be copied as a COG: {error}", source=href, remedy="fetch it and look at it"
        ) from error


def _write_window(raster: RasterFile, window: Window, part: Path) -> None:
    """Rows of a window, band by band, with everything that gives the samples their meaning."""
    with rasterio.open(path_of(raster)) as dataset:
        profile: dict[str, Any] = {
            **_PLAIN,
            "width": int(window.width),
            "height": int(window.height),
            "count": dataset.count,
            "dtype": dataset.dtypes[0],
            "crs": dataset.crs,
            "transform": dataset.window_transform(window),
            "nodata": dataset.nodata,
        }
        has_mask = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(part, "w", **profile) as out,
        ):
            out.scales, out.offsets, out.units = dataset.scales, dataset.offsets, dataset.units
            out.descriptions = dataset.descriptions
            out.update_tags(**dataset.tags())
            for top in range(0, int(window.height), _BAND_ROWS):
                rows = min(_BAND_ROWS, int(window.height) - top)
                there = Window(window.col_off, window.row_off + top, window.width, rows)
                here = Window(0, top, window.width, rows)
                ensure(raster, int(there.col_off), int(there.row_off), int(there.width), rows, dataset.shape)
                out.write(dataset.read(window=there), window=here)
                if has_mask:
                    out.write_mask(dataset.dataset_mask(window=there), window=here)
