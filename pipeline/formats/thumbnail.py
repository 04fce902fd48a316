"""Thumbnails of tiles: heights by colour over a hillshade, voids transparent."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError

from orograph.pipeline.errors import ExportError

# Height in metres, then red, green, blue: a plain hypsometric tint, sea level and below first.
_TINT: Final = (
    (-10.0, 90, 130, 140),
    (0.0, 112, 153, 112),
    (100.0, 142, 174, 112),
    (300.0, 190, 196, 127),
    (700.0, 214, 190, 133),
    (1400.0, 186, 146, 106),
    (2200.0, 168, 136, 120),
    (3000.0, 214, 210, 208),
    (4500.0, 255, 255, 255),
)


def write_thumbnail(elevation_path: Path, hillshade_path: Path, out_path: Path, *, size_px: int = 512) -> None:
    """Draw a tile as a PNG with an alpha channel, about `size_px` wide, from the overviews of its COGs.

    Args:
        elevation_path: Heights, with their nodata value declared.
        hillshade_path: Shade 1..255, 0 void, on the same grid.
        out_path: PNG; equal inputs give equal bytes.
        size_px: Length of the longer side.

    Raises:
        ExportError: a raster cannot be read.
    """
    from PIL import Image

    heights, valid = _read(elevation_path, size_px)
    shade, lit = _read(hillshade_path, size_px)
    picture = tinted(heights, shade, valid & lit)
    Image.fromarray(picture, "RGBA").save(out_path, optimize=False, compress_level=6)


def tinted(
    heights_m: npt.NDArray[np.float32], shade: npt.NDArray[np.float32], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.uint8]:
    """RGBA of shape (rows, columns, 4): hypsometric tint darkened by shade 1..255, transparent where not valid."""
    stops = np.array(_TINT)
    filled = np.where(valid, heights_m, 0.0)
    light = np.clip(0.35 + 0.9 * np.where(valid, shade, 0.0) / 255.0, 0.0, 1.15)
    picture = np.zeros((*heights_m.shape, 4), np.uint8)
    for channel in range(3):
        tint = np.interp(filled, stops[:, 0], stops[:, channel + 1])
        picture[..., channel] = np.clip(tint * light, 0, 255)
    picture[..., 3] = np.where(valid, 255, 0)
    picture[~valid] = 0
    return picture


def _read(path: Path, size_px: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    try:
        with rasterio.open(path) as dataset:
            factor = max(dataset.width, dataset.height, size_px) / size_px
            shape = (max(1, round(dataset.height / factor)), max(1, round(dataset.width / factor)))
            values = dataset.read(1, out_shape=shape, masked=True, resampling=Resampling.average)
    except RasterioError as fault:
        raise ExportError(f"cannot draw {path.name}: {fault}") from fault
    return values.filled(0).astype(np.float32), ~np.ma.getmaskarray(values)
