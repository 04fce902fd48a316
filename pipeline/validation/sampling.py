"""Reads a raster at points: height, slope, aspect and values of other bands, strip by strip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import rasterio
from pyproj import CRS, Transformer
from rasterio.errors import RasterioError
from rasterio.windows import Window

from orograph.pipeline.errors import SourceCorrupt, SourceGridError, SourceMissing
from orograph.pipeline.sources.single_raster import open_heights
from orograph.pipeline.validation.control import Control

Array = npt.NDArray[Any]

_STRIP_ROWS: Final = 1024
_WIDEST_PX: Final = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """Values of a raster at points, NaN where it has none.

    Attributes:
        height_m: float64 (n,), bilinear between pixel centres; NaN unless all four have heights.
        slope_deg: Steepness by central differences.
        aspect_deg: Direction of the steepest descent, degrees from north clockwise; NaN on level terrain.
    """

    height_m: Array
    slope_deg: Array
    aspect_deg: Array


@dataclass(frozen=True, slots=True)
class RasterFacts:
    """Facts of a raster needed before reading its pixels."""

    crs: CRS
    frame: str | None
    pixel_m: float


def raster_facts(path: Path) -> RasterFacts:
    """Horizontal CRS, stated vertical frame and pixel size of a raster of heights.

    Raises:
        SourceMissing, SourceCorrupt, SourceGridError: it cannot be used.
    """
    with open_heights(path) as raster:
        return RasterFacts(CRS.from_user_input(raster.known_crs()), raster.facts.vertical_frame, raster.pixel_size_m[0])


def crs_of(path: Path) -> CRS:
    """Horizontal CRS of a raster of any kind.

    Raises:
        SourceMissing, SourceCorrupt, SourceGridError: it cannot be used.
    """
    if not path.is_file():
        raise SourceMissing(f"no raster at {path}", source=path.name)
    try:
        with rasterio.open(path) as file:
            if file.crs is None:
                raise SourceGridError(f"{path.name} has no CRS", source=path.name, remedy="assign it first")
            return CRS.from_wkt(file.crs.to_wkt()).to_2d()
    except RasterioError as error:
        raise SourceCorrupt(f"{path.name} cannot be read: {error}", source=path.name) from error


def places_in(control: Control, crs: CRS) -> tuple[Array, Array]:
    """Positions of control points in another CRS, x first; infinite where the transformation is undefined."""
    x, y = Transformer.from_crs(control.crs, crs, always_xy=True).transform(control.x, control.y)
    return np.asarray(x), np.asarray(y)


def sample_heights(path: Path, x: Array, y: Array, pixel_m: float) -> Sampled:
    """Heights, slopes and aspects of a raster at points in its own CRS, read as in every command."""
    out = np.full((3, x.size), np.nan)
    with open_heights(path) as raster:
        for window, chosen, row, col in _strips(raster, x, y):
            heights = raster.read(window.row_off, window.col_off, window.height, window.width).astype(np.float64)
            out[:, chosen] = _at(heights, row - window.row_off, col - window.col_off, pixel_m)
    return Sampled(*out)


def sample_nearest(path: Path, x: Array, y: Array, band: int = 1) -> Array:
    """Values of a band at the nearest pixels, float64, NaN for nodata."""
    out = np.full(x.size, np.nan)
    with rasterio.open(path) as file:
        nodata = file.nodatavals[band - 1]
        for window, chosen, row, col in _strips(file, x, y):
            values = file.read(band, window=window).astype(np.float64)
            if nodata is not None:
                values[values == nodata] = np.nan
            i = np.clip(np.rint(row - window.row_off).astype(int), 0, values.shape[0] - 1)
            j = np.clip(np.rint(col - window.col_off).astype(int), 0, values.shape[1] - 1)
            out[chosen] = values[i, j]
    return out


def _strips(file: Any, x: Array, y: Array) -> Any:
    """Windows that have points, the points in each, and their rows and columns (of pixel centres)."""
    inverse = ~file.transform
    known = np.isfinite(x) & np.isfinite(y)
    col, row = np.full(x.size, -1.0), np.full(x.size, -1.0)
    col[known] = inverse.a * x[known] + inverse.c - 0.5
    row[known] = inverse.e * y[known] + inverse.f - 0.5
    inside = np.flatnonzero((row >= -0.5) & (col >= -0.5) & (row <= file.height - 0.5) & (col <= file.width - 0.5))
    key = (row[inside] // _STRIP_ROWS).astype(int) * 100_000 + (col[inside] // _WIDEST_PX).astype(int)
    for one in np.unique(key):
        chosen = inside[key == one]
        top, left = int(max(row[chosen].min() - 2, 0)), int(max(col[chosen].min() - 2, 0))
        bottom = int(min(row[chosen].max() + 4, file.height))
        right = int(min(col[chosen].max() + 4, file.width))
        yield Window(left, top, right - left, bottom - top), chosen, row[chosen], col[chosen]


def _at(heights: Array, row: Array, col: Array, pixel_m: float) -> Array:
    """Height, slope and aspect (3, n) at rows and columns of a window."""
    rows, cols = heights.shape
    i = np.clip(np.floor(row).astype(int), 0, max(rows - 2, 0))
    j = np.clip(np.floor(col).astype(int), 0, max(cols - 2, 0))
    s, t = np.clip(row - i, 0.0, 1.0), np.clip(col - j, 0.0, 1.0)
    below, right = np.minimum(i + 1, rows - 1), np.minimum(j + 1, cols - 1)
    height = (1 - s) * ((1 - t) * heights[i, j] + t * heights[i, right]) + s * (
        (1 - t) * heights[below, j] + t * heights[below, right]
    )
    r, c = np.clip(np.rint(row).astype(int), 1, rows - 2), np.clip(np.rint(col).astype(int), 1, cols - 2)
    if rows < 3 or cols < 3:
        return np.stack([height, np.full(height.size, np.nan), np.full(height.size, np.nan)])
    east = (heights[r, c + 1] - heights[r, c - 1]) / (2 * pixel_m)
    north = (heights[r - 1, c] - heights[r + 1, c]) / (2 * pixel_m)
    slope = np.degrees(np.arctan(np.hypot(east, north)))
    aspect = np.degrees(np.arctan2(-east, -north)) % 360.0
    return np.stack([height, slope, np.where(slope > 0.5, aspect, np.nan)])
