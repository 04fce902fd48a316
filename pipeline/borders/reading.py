"""Windows of a source on a common grid; handles nodata and several files."""

from __future__ import annotations

import glob
import math
from types import TracebackType
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import transform_bounds

from orograph.pipeline.core.grid import TILE_CRS
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError
from orograph.pipeline.sources.catalogue import Files, Source
from orograph.pipeline.sources.header import read_header
from orograph.pipeline.sources.single_raster import HeightRaster

NATIVE_PX: Final = 4096
"""Widest native window read at once."""


class OpenSource:
    """A source's local files, open for reading windows of EPSG:3035; a context manager."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._rasters: list[HeightRaster] = []

    def __enter__(self) -> Self:
        data = self.source.data
        if not isinstance(data, Files):
            raise ConfigError(
                f"source {self.source.id} has no local files", remedy="`borders` needs `data: {kind: files}`"
            )
        found = (glob.glob(href) or [href] for href in data.hrefs)  # noqa: PTH207 - patterns are absolute paths or URLs
        paths = sorted({path for some in found for path in some})
        self._rasters = [HeightRaster(read_header(path, self.source), self.source.id) for path in paths]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for raster in self._rasters:
            raster.__exit__(kind, value, trace)

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all files in EPSG:3035."""
        boxes = [self._bounds(raster) for raster in self._rasters]
        west, south = (min(box[i] for box in boxes) for i in (0, 1))
        east, north = (max(box[i] for box in boxes) for i in (2, 3))
        return west, south, east, north

    def window_px(self, box: GeoBox) -> int:
        """Widest window of a grid that can be read without exceeding the read limit."""
        return max(16, math.floor(NATIVE_PX * self.source.resolution_m / abs(box.affine.a)))

    def read(self, box: GeoBox) -> FloatArray:
        """Heights on a grid of EPSG:3035, bilinear, or averaged if the grid is coarser; NaN where void."""
        heights = np.full(box.shape.shape, np.nan, dtype=np.float32)
        wanted = (box.boundingbox.left, box.boundingbox.bottom, box.boundingbox.right, box.boundingbox.top)
        for raster in self._rasters:
            if not _meet(self._bounds(raster), wanted):
                continue
            part = self._read_file(raster, box)
            heights = np.where(np.isfinite(heights), heights, part)
        return heights

    def _read_file(self, raster: HeightRaster, box: GeoBox) -> FloatArray:
        coarser = abs(box.affine.a) > 1.5 * self.source.resolution_m
        return raster.on(box, Resampling.average if coarser else Resampling.bilinear)

    def _bounds(self, raster: HeightRaster) -> tuple[float, float, float, float]:
        west, south, east, north = transform_bounds(raster.known_crs(), TILE_CRS, *raster.bounds, densify_pts=21)
        return west, south, east, north


def slope_degrees(heights_m: FloatArray, pixel_m: float) -> npt.NDArray[np.float32]:
    """Slope in degrees by central differences; infinite at the edge and next to voids."""
    steep = np.full(heights_m.shape, np.inf, dtype=np.float32)
    north = (heights_m[2:, 1:-1] - heights_m[:-2, 1:-1]) / (2 * pixel_m)
    east = (heights_m[1:-1, 2:] - heights_m[1:-1, :-2]) / (2 * pixel_m)
    inner = np.degrees(np.arctan(np.hypot(north, east)))
    steep[1:-1, 1:-1] = np.where(np.isfinite(inner), inner, np.inf)
    return steep


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
