"""Windows of a source on a common grid, its own voids and several files respected."""

from __future__ import annotations

import glob
import math
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.transform import array_bounds
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window, from_bounds

from orograph.pipeline.core.grid import TILE_CRS
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError, SourceCorrupt, SourceMissing
from orograph.pipeline.sources.catalogue import Files, Source
from orograph.pipeline.sources.nodata import refuse_undeclared, to_void

NATIVE_PX: Final = 4096
"""Widest native window read at once."""


class OpenSource:
    """A source's local files, open for reading windows of EPSG:3035; a context manager."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._datasets: list[Any] = []

    def __enter__(self) -> Self:
        data = self.source.data
        if not isinstance(data, Files):
            raise ConfigError(f"source {self.source.id} is not in files", remedy="list its files for this comparison")
        found = (glob.glob(href) or [href] for href in data.hrefs)  # noqa: PTH207 - patterns are absolute paths or URLs
        paths = sorted({path for some in found for path in some})
        try:
            for path in paths:
                if "://" not in path and not Path(path).exists():
                    raise SourceMissing(f"there is no file {path}", source=self.source.id)
                self._datasets.append(rasterio.open(path))
        except RasterioError as error:
            self.__exit__(None, None, None)
            raise SourceCorrupt(f"{path} cannot be read: {error}", source=self.source.id) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for dataset in self._datasets:
            dataset.close()

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all files in EPSG:3035."""
        boxes = [self._bounds(dataset) for dataset in self._datasets]
        west, south = (min(box[i] for box in boxes) for i in (0, 1))
        east, north = (max(box[i] for box in boxes) for i in (2, 3))
        return west, south, east, north

    def window_px(self, box: GeoBox) -> int:
        """How wide a window of a grid may be without reading too much at once."""
        return max(16, math.floor(NATIVE_PX * self.source.resolution_m / abs(box.affine.a)))

    def read(self, box: GeoBox) -> FloatArray:
        """Heights on a grid of EPSG:3035, bilinear, or averaged where the grid is coarser; NaN where there are none."""
        heights = np.full(box.shape.shape, np.nan, dtype=np.float32)
        wanted = (box.boundingbox.left, box.boundingbox.bottom, box.boundingbox.right, box.boundingbox.top)
        for dataset in self._datasets:
            if not _meet(self._bounds(dataset), wanted):
                continue
            part = self._read_file(dataset, box, wanted)
            heights = np.where(np.isfinite(heights), heights, part)
        return heights

    def _read_file(self, dataset: Any, box: GeoBox, wanted: tuple[float, float, float, float]) -> FloatArray:
        native = transform_bounds(TILE_CRS, self._crs, *wanted, densify_pts=21)
        margin_x, margin_y = 4 * abs(dataset.transform.a), 4 * abs(dataset.transform.e)
        native = (native[0] - margin_x, native[1] - margin_y, native[2] + margin_x, native[3] + margin_y)
        window = from_bounds(*native, transform=dataset.transform).round_offsets().round_lengths()
        try:
            window = window.intersection(Window(0, 0, dataset.width, dataset.height))
        except rasterio.errors.WindowError:
            return np.full(box.shape.shape, np.nan, dtype=np.float32)
        heights = to_void(dataset.read(1, window=window), dataset.nodata, self.source.nodata)
        refuse_undeclared(heights, source=self.source.id)
        coarser = abs(box.affine.a) > 1.5 * self.source.resolution_m
        target = np.full(box.shape.shape, np.nan, dtype=np.float32)
        reproject(
            heights,
            target,
            src_transform=dataset.window_transform(window),
            src_crs=self._crs,
            src_nodata=np.nan,
            dst_transform=box.affine,
            dst_crs=TILE_CRS,
            dst_nodata=np.nan,
            resampling=Resampling.average if coarser else Resampling.bilinear,
            num_threads=1,
        )
        return target

    @property
    def _crs(self) -> str:
        return self.source.horizontal_crs

    def _bounds(self, dataset: Any) -> tuple[float, float, float, float]:
        bounds = array_bounds(dataset.height, dataset.width, dataset.transform)
        west, south, east, north = transform_bounds(self._crs, TILE_CRS, *bounds, densify_pts=21)
        return west, south, east, north


def slope_degrees(heights_m: FloatArray, pixel_m: float) -> npt.NDArray[np.float32]:
    """Steepness in degrees by central differences; infinite at the edge and where a neighbour is void."""
    steep = np.full(heights_m.shape, np.inf, dtype=np.float32)
    north = (heights_m[2:, 1:-1] - heights_m[:-2, 1:-1]) / (2 * pixel_m)
    east = (heights_m[1:-1, 2:] - heights_m[1:-1, :-2]) / (2 * pixel_m)
    inner = np.degrees(np.arctan(np.hypot(north, east)))
    steep[1:-1, 1:-1] = np.where(np.isfinite(inner), inner, np.inf)
    return steep


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
