"""Size of a source's pixel in metres, along columns and along rows.

Pixels in degrees become narrower towards the poles: GLO-30's are 31 m by 24 m in Sicily, 31 m by 20 m in Prague.
Networks depend on the pixel shape and receive it per band of latitude. The bands' edges are fixed, so windows and tiles
agree on the shape of every row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from affine import Affine
from pyproj import CRS, Geod

BAND_DEG: Final = 2.0
"""At 60 degrees a pixel's width changes by 6 % over a band, by half of that against the band's middle."""
_WGS_84: Final = Geod(ellps="WGS84")
_STEEPEST_DEG: Final = 89.0


@dataclass(frozen=True, slots=True)
class RowBand:
    """Rows of a grid that share one pixel size.

    Attributes:
        row: First row.
        height: Number of rows.
        pixel_size_m: Size along columns (west to east) and along rows, metres.
    """

    row: int
    height: int
    pixel_size_m: tuple[float, float]


def degree_lengths_m(latitude_deg: float) -> tuple[float, float]:
    """Length of a degree along the parallel and along the meridian, metres on the WGS 84 ellipsoid."""
    latitude = math.radians(latitude_deg)
    square = 1.0 - _WGS_84.es * math.sin(latitude) ** 2
    parallel = math.radians(_WGS_84.a) * math.cos(latitude) / math.sqrt(square)
    meridian = math.radians(_WGS_84.a) * (1.0 - _WGS_84.es) / square**1.5
    return parallel, meridian


def ground_pixel_size_m(affine: Affine, rows: int, crs: str) -> tuple[float, float]:
    """Return the pixel size at the raster's centre, metres along columns and rows.

    Args:
        affine: Pixel to CRS, axes along the pixels.
        rows: Number of rows of the raster.
        crs: CRS of the raster, any text PROJ reads.
    """
    if not _is_geographic(crs):
        scale = float(CRS.from_user_input(crs).axis_info[0].unit_conversion_factor)
        return abs(affine.a) * scale, abs(affine.e) * scale
    parallel_m, meridian_m = degree_lengths_m(affine.f + affine.e * rows / 2.0)
    return abs(affine.a) * parallel_m, abs(affine.e) * meridian_m


def row_bands(affine: Affine, crs: str, resolution_m: float, row: int, height: int) -> Iterator[RowBand]:
    """Split rows into bands of one pixel size.

    Args:
        affine: Grid index to CRS, corner based, north up.
        crs: CRS of the grid.
        resolution_m: Nominal pixel size along rows, metres; projected grids have exactly this size.
        row: First row.
        height: Number of rows.
    """
    if not _is_geographic(crs):
        yield RowBand(row, height, (resolution_m * abs(affine.a / affine.e), resolution_m))
        return
    step_deg = affine.e
    end = row + height
    while row < end:
        middle_deg = affine.f + (row + 0.5) * step_deg
        number = math.floor(middle_deg / BAND_DEG)
        # The first row whose middle is in the next band, southwards or (row order turned) northwards.
        edge_deg = (number if step_deg < 0 else number + 1) * BAND_DEG
        rows_left = (edge_deg - affine.f) / step_deg - 0.5
        stop = min(end, max(row + 1, math.floor(rows_left) + 1 if step_deg < 0 else math.ceil(rows_left)))
        centre_deg = min(_STEEPEST_DEG, abs((number + 0.5) * BAND_DEG))
        parallel_m, meridian_m = degree_lengths_m(centre_deg)
        yield RowBand(row, stop - row, (abs(affine.a) * parallel_m, abs(step_deg) * meridian_m))
        row = stop


@lru_cache(maxsize=64)
def _is_geographic(crs: str) -> bool:
    return bool(CRS.from_user_input(crs).is_geographic)
