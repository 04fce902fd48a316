"""Hillshade and slope of blocks of heights; a halo makes block borders equal to the interior."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.errors import ExportError
from orograph.pipeline.formats import kernels

HALO_PX: Final = 1
VOID: Final = 0
"""Shade of a void; valid pixels are 1 to 255."""


def hillshade(
    heights_m: npt.NDArray[np.float32],
    pixel_size_m: float,
    *,
    pixel_height_m: float | None = None,
    altitude_deg: float = 45.0,
    exaggeration: float = 1.0,
) -> npt.NDArray[np.uint8]:
    """Multidirectional hillshade of a block: light from south-west, west, north-west and north, weighted by aspect.

    Each light is weighted by the squared cosine between its azimuth and the slope's, as in `gdaldem hillshade
    -multidirectional`, whose values it reproduces exactly.

    Args:
        heights_m: float32 of shape (rows + 2, columns + 2), NaN void: the block with a halo of one pixel; NaN in the
            halo without a neighbour.
        pixel_size_m: Pixel width, metres.
        pixel_height_m: Pixel height, metres, if it differs (geographic grids).
        altitude_deg: Height of the lights above the horizon.
        exaggeration: Factor on heights.

    Returns:
        uint8 of shape (rows, columns): 1 to 255, 0 where void.

    Source: after R. Mark, Multidirectional, oblique-weighted, shaded-relief image of the Island of Hawaii, USGS OFR
    92-422 (1992), with GDAL's weights; gradients after Horn (1981).
    """
    inside = _inside(heights_m)
    scale_x, scale_y = (
        np.float32(exaggeration / (8.0 * size)) for size in (pixel_size_m, pixel_height_m or pixel_size_m)
    )
    shade = np.empty(inside, np.uint8)
    altitude = math.radians(altitude_deg)
    up, along = np.float32(math.sin(altitude)), np.float32(math.cos(altitude))
    kernels.hillshade_multidirectional(heights_m, scale_x, scale_y, up, along, shade)
    return shade


def slope(
    heights_m: npt.NDArray[np.float32], pixel_size_m: float, *, pixel_height_m: float | None = None
) -> npt.NDArray[np.float32]:
    """Slope of a block in degrees, float32, NaN where void; arguments as for `hillshade`.

    Source: Horn, Hill shading and the reflectance map, Proc. IEEE 69 (1981).
    """
    inside = _inside(heights_m)
    scale_x, scale_y = (np.float32(1.0 / (8.0 * size)) for size in (pixel_size_m, pixel_height_m or pixel_size_m))
    degrees = np.empty(inside, np.float32)
    kernels.slope_degrees(heights_m, scale_x, scale_y, degrees)
    return degrees


def _inside(heights_m: npt.NDArray[np.float32]) -> tuple[int, int]:
    if heights_m.ndim != 2 or heights_m.dtype != np.float32 or min(heights_m.shape) < 3:
        raise ExportError(
            f"shading needs float32 rows and columns with a halo, got {heights_m.dtype} {heights_m.shape}"
        )
    return heights_m.shape[0] - 2 * HALO_PX, heights_m.shape[1] - 2 * HALO_PX
