"""Reads the rasters of a map tile with rio-tiler and mosaics them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import rasterio
from rasterio.errors import RasterioIOError
from rio_tiler.errors import RioTilerError
from rio_tiler.io import Reader

from orograph.infra.service.problem_documents import Problem
from orograph.infra.service.shading import FloatArray
from orograph.infra.service.web_tiles import TILE_PX, Address

MARGIN_PX: Final = 2
"""Pixels read around a map tile, for slopes at its edge."""


def mosaic(paths: Iterable[str], address: Address, *, nearest: bool = False) -> FloatArray:
    """Values in a map tile and its margin, NaN where there are none; the first file with a value has priority.

    Args:
        paths: GDAL paths.
        address: The map tile.
        nearest: Nearest-neighbour resampling, for categories; otherwise bilinear.

    Returns:
        float array of shape (TILE_PX + 2 * MARGIN_PX,) * 2.

    Raises:
        Problem: 502 when a file cannot be read.
    """
    size = TILE_PX + 2 * MARGIN_PX
    merged = np.full((size, size), np.nan, dtype=np.float32)
    for path in dict.fromkeys(paths):
        values = part(path, address.bounds_m(MARGIN_PX), size, nearest=nearest)
        if values is None:
            continue
        missing = ~np.isfinite(merged)
        merged[missing] = values[missing]
        if np.isfinite(merged).all():
            break
    return merged


def driver_of(path: str) -> str:
    """The only GDAL driver allowed for a file; never VRT, whose XML may refer to any file."""
    return "SRTMHGT" if path.lower().endswith(".hgt") else "GTiff"


def part(
    path: str, bounds_m: tuple[float, float, float, float], size: int, *, nearest: bool = False
) -> FloatArray | None:
    """Values of a file in bounds of Web Mercator; None if the file does not intersect them."""
    method = "nearest" if nearest else "bilinear"
    try:
        with rasterio.open(path, driver=driver_of(path)) as dataset, Reader(path, dataset=dataset) as reader:
            image = reader.part(
                bounds_m,
                dst_crs="EPSG:3857",
                bounds_crs="EPSG:3857",
                indexes=(1,),
                width=size,
                height=size,
                max_size=None,
                resampling_method=method,
                reproject_method=method,
            )
    except RioTilerError:
        return None
    except RasterioIOError as error:
        raise Problem(502, "Bad Gateway", "a published raster cannot be read") from error
    values: FloatArray = image.array[0].astype(np.float32).filled(np.nan)
    return np.where(np.abs(values) < 1e5, values, np.float32(np.nan))
