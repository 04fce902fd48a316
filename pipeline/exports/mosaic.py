"""Samples heights at any points from the 50 km tiles around them, for all exports.

All tiles of a mosaic share one global pixel lattice of EPSG:3035, so blocks of pixels have integer indices and may
cross tile borders. A height is a tent-weighted mean of the pixels around the point, as wide as the sample spacing, but
never narrower than bilinear. The tent's half width is a whole number of pixels: such a mean reproduces planes exactly,
so it causes no shift.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from orograph.pipeline.core.compiled import compiled
from orograph.pipeline.core.grid import TILE_SIZE_KM, TILE_SIZE_M, PixelWindow, Tile, windows
from orograph.pipeline.errors import (
    BadIdentifier,
    ExportError,
    OutsideAreaOfUse,
    OutsideCoverage,
    SourceCorrupt,
    SourceMissing,
)
from orograph.pipeline.exports.sampling import SampleGrid
from orograph.pipeline.formats.scratch import BLOCK_PX

BLOCK_POINTS: Final = 512
_SAMPLES_ACROSS: Final = 3.0
_METRES_PER_DEGREE: Final = 111_200.0
_MAX_BLOCK_PIXELS: Final = 16_000_000
FloatArray = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]
Missing = Literal["void", "error"]
Shift = Callable[[SampleGrid], FloatArray]
"""Metres to add at the points of a lattice, to move heights from the tiles' frame to another."""


def peak_bytes(points: int = BLOCK_POINTS) -> int:
    """Peak memory of sampling any lattice block by block, without GDAL's block cache.

    The largest block of pixels as read and as kept, and coordinates, samples and shifts of its points.
    """
    return 2 * 4 * _MAX_BLOCK_PIXELS + points * points * (8 * 4 + 4 * 4)


class Mosaic:
    """Heights of several tiles as one raster; a context manager.

    Args:
        files: Tiles of one pixel size and one vertical frame.
        missing: Treatment of points without a tile: NaN or an error.

    Raises:
        ExportError: no tiles, or tiles that differ in pixel size or CRS.
        SourceMissing, SourceCorrupt: a file is missing, or is not the elevation tile of its name.
    """

    def __init__(self, files: Mapping[Tile, Path], *, missing: Missing = "void") -> None:
        if not files:
            raise OutsideCoverage("no tile to sample from", remedy="publish the tiles first")
        self._files = dict(sorted(files.items()))
        self._missing = missing
        self._open: dict[tuple[Tile, int], Any] = {}
        first, *others = (self._describe(tile, path) for tile, path in self._files.items())
        self.pixel_size_m, self.crs_wkt = first
        for (tile, _), other in zip(list(self._files.items())[1:], others, strict=True):
            if other != first:
                raise ExportError(
                    f"tile has {other[0]} m pixels or another CRS than {next(iter(self._files))} ({first[0]} m)",
                    tile=tile.id,
                    remedy="export tiles of one pixel size and vertical frame",
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files."""
        for dataset in self._open.values():
            dataset.close()
        self._open.clear()

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The available tiles."""
        return tuple(self._files)

    def sample(self, lattice: SampleGrid, shift: Shift | None = None) -> FloatArray:
        """Heights at every point of a lattice: float32 (rows, columns), NaN void, in the tiles' frame plus `shift`.

        Raises:
            OutsideCoverage: a point is in no tile and missing tiles are rejected.
        """
        heights = np.empty(lattice.shape, np.float32)
        for window, block in self.blocks(lattice, shift):
            heights[window.slices] = block
        return heights

    def blocks(self, lattice: SampleGrid, shift: Shift | None = None) -> Iterator[tuple[PixelWindow, FloatArray]]:
        """As `sample`, block by block of at most 512 by 512 points."""
        for window in windows(lattice.shape, BLOCK_POINTS):
            part = lattice.part(*window.slices)
            east, north = part.project()
            level = self.level_for(part.spacing_lat_deg * _METRES_PER_DEGREE)
            heights = self.sample_points(east, north, *part.spacing_m(), level=level)
            yield window, heights if shift is None else _moved(heights, shift, part)

    def sample_points(
        self, east_m: Points, north_m: Points, spacing_x_m: Points, spacing_y_m: Points, *, level: int
    ) -> FloatArray:
        """Heights at points of EPSG:3035.

        Args:
            east_m: Eastings, (rows, columns), metres.
            north_m: Northings, likewise.
            spacing_x_m: Distance of neighbouring points along a row, one value per row.
            spacing_y_m: Distance of rows.
            level: Overview to read, from `level_for`; the same for all blocks that must agree.
        """
        if self._missing == "error":
            self._reject_missing(east_m, north_m)
        pixel = self.pixel_size_m * 2**level
        reach_x = np.maximum(1, np.rint(spacing_x_m / pixel)).astype(np.int64)
        reach_y = np.maximum(1, np.rint(spacing_y_m / pixel)).astype(np.int64)
        margin = int(max(reach_x.max(), reach_y.max())) + 1
        # Global pixels: columns grow from easting 0, rows downwards from northing 0.
        left = math.floor(float(east_m.min()) / pixel) - margin
        top = math.floor(float(-north_m.max()) / pixel) - margin
        right = math.floor(float(east_m.max()) / pixel) + margin + 1
        bottom = math.floor(float(-north_m.min()) / pixel) + margin + 1
        heights = np.empty(east_m.shape, np.float32)
        if (right - left) * (bottom - top) > _MAX_BLOCK_PIXELS and max(east_m.shape) > 1:
            return self._halves(east_m, north_m, spacing_x_m, spacing_y_m, level)
        pixels = self.read(level, PixelWindow(top, left, bottom - top, right - left))
        _sample_tent(pixels, left, top, east_m / pixel, -north_m / pixel, reach_x, reach_y, heights)
        return heights

    def _halves(
        self, east_m: Points, north_m: Points, spacing_x_m: Points, spacing_y_m: Points, level: int
    ) -> FloatArray:
        rows, cols = east_m.shape
        heights = np.empty((rows, cols), np.float32)
        middle_row, middle_col = max(1, rows // 2), max(1, cols // 2)
        for r in (slice(0, middle_row), slice(middle_row, rows)):
            for c in (slice(0, middle_col), slice(middle_col, cols)):
                if r.start < r.stop and c.start < c.stop:
                    part = east_m[r, c], north_m[r, c], spacing_x_m[r], spacing_y_m[r]
                    heights[r, c] = self.sample_points(*part, level=level)
        return heights

    def read(self, level: int, window: PixelWindow) -> FloatArray:
        """A block of global pixels of an overview level, NaN where void or without a tile."""
        count = self._tile_px(level)
        block = np.full((window.height, window.width), np.nan, np.float32)
        for tile_row in range(window.row // count, (window.row + window.height - 1) // count + 1):
            for tile_col in range(window.col // count, (window.col + window.width - 1) // count + 1):
                self._read_tile(level, tile_row, tile_col, window, block)
        return block

    def read_tile(self, tile: Tile, window: PixelWindow, *, halo_px: int = 0) -> FloatArray:
        """A window of a tile at full resolution, widened by `halo_px` on each side into the neighbours."""
        count = self._tile_px(0)
        row = -(tile.north_km // TILE_SIZE_KM + 1) * count + window.row - halo_px
        col = tile.east_km // TILE_SIZE_KM * count + window.col - halo_px
        return self.read(0, PixelWindow(row, col, window.height + 2 * halo_px, window.width + 2 * halo_px))

    def _read_tile(self, level: int, tile_row: int, tile_col: int, window: PixelWindow, block: FloatArray) -> None:
        try:
            tile = Tile(tile_col * TILE_SIZE_KM, -(tile_row + 1) * TILE_SIZE_KM)
        except BadIdentifier:
            return
        if tile not in self._files:
            return
        count = self._tile_px(level)
        row_0, col_0 = tile_row * count, tile_col * count
        top, left = max(window.row, row_0), max(window.col, col_0)
        bottom = min(window.row + window.height, row_0 + count)
        right = min(window.col + window.width, col_0 + count)
        dataset = self._dataset(tile, level)
        try:
            values = dataset.read(1, window=Window(left - col_0, top - row_0, right - left, bottom - top))
        except RasterioError as fault:
            raise SourceCorrupt(f"cannot be read: {fault}", tile=tile.id, source=str(dataset.name)) from fault
        values[values == dataset.nodata] = np.nan
        block[top - window.row : bottom - window.row, left - window.col : right - window.col] = values

    def _reject_missing(self, east_m: Points, north_m: Points) -> None:
        columns, rows = (np.floor(values / TILE_SIZE_M).astype(np.int64) for values in (east_m, north_m))
        for pair in np.unique(columns * 1000 + rows).tolist():
            tile = Tile(pair // 1000 * TILE_SIZE_KM, pair % 1000 * TILE_SIZE_KM)
            if tile not in self._files:
                raise OutsideCoverage(
                    f"tile {tile} is not published", tile=tile.id, remedy="publish it, or export with --missing void"
                )

    def level_for(self, spacing_m: float) -> int:
        """The coarsest overview with three pixels per sample that divides the tile without remainder."""
        level, count = 0, self._tile_px(0)
        while (
            count % 2 == 0
            and count > BLOCK_PX
            and self.pixel_size_m * 2 ** (level + 1) * _SAMPLES_ACROSS <= spacing_m * 1.001
        ):
            level, count = level + 1, count // 2
        return level

    def _tile_px(self, level: int) -> int:
        return round(TILE_SIZE_M / self.pixel_size_m) >> level

    def _dataset(self, tile: Tile, level: int) -> Any:
        dataset = self._open.get((tile, level))
        if dataset is None:
            options = {"overview_level": level - 1} if level else {}
            try:
                dataset = rasterio.open(self._files[tile], **options)
            except RasterioError as fault:
                raise SourceCorrupt(f"cannot open overview {level}: {fault}", tile=tile.id) from fault
            if dataset.shape != (self._tile_px(level),) * 2:
                raise SourceCorrupt(f"overview {level} has {dataset.shape} pixels", tile=tile.id)
            self._open[tile, level] = dataset
        return dataset

    def _describe(self, tile: Tile, path: Path) -> tuple[float, str]:
        try:
            with rasterio.open(path) as dataset:
                pixel = dataset.transform.a
                expected = tile.geobox(pixel)
                same = dataset.shape == expected.shape.shape and dataset.transform == expected.affine
                wkt = dataset.crs.to_wkt() if dataset.crs else ""
                if not same or not wkt or dataset.dtypes[0] != "float32" or dataset.nodata is None:
                    raise SourceCorrupt(f"{path.name} is not an elevation tile of {tile}", tile=tile.id)
        except RasterioError as fault:
            kind = SourceCorrupt if path.exists() else SourceMissing
            raise kind(f"{path.name} cannot be opened: {fault}", tile=tile.id) from fault
        return pixel, wkt


def _moved(heights: FloatArray, shift: Shift, part: SampleGrid) -> FloatArray:
    moved = heights + shift(part)
    lost = np.isnan(moved) & np.isfinite(heights)
    if lost.any():
        row, col = np.argwhere(lost)[0]
        raise OutsideAreaOfUse(
            f"no vertical operation at {part.longitudes_deg[col]:.4f} E, {part.latitudes_deg[row]:.4f} N to"
            " the target frame",
            remedy="export in the tiles' own frame, or install a grid that covers the place",
        )
    return moved


@compiled
def _sample_tent(
    pixels: FloatArray,
    left: int,
    top: int,
    x_px: Points,
    y_px: Points,
    reach_x: npt.NDArray[np.int64],
    reach_y: npt.NDArray[np.int64],
    heights: FloatArray,
) -> None:
    """Tent-weighted means around points given in global pixels; void below half weight.

    Weights come from the point's own fraction of a global pixel, never from the block, so blocks agree bit for bit.
    """
    weights_x = np.empty(2 * reach_x.max(), np.float64)
    for row in range(heights.shape[0]):
        wide, high = reach_x[row], reach_y[row]
        for col in range(heights.shape[1]):
            x, y = x_px[row, col] - 0.5, y_px[row, col] - 0.5
            col_0, row_0 = math.floor(x), math.floor(y)
            fraction_x, fraction_y = x - col_0, y - row_0
            first_col, first_row = int(col_0) - left + 1 - wide, int(row_0) - top + 1 - high
            for right in range(2 * wide):
                weights_x[right] = 1.0 - abs(right + 1 - wide - fraction_x) / wide
            total = 0.0
            for down in range(2 * high):
                row_total = 0.0
                for right in range(2 * wide):
                    row_total += weights_x[right] * pixels[first_row + down, first_col + right]
                total += (1.0 - abs(down + 1 - high - fraction_y) / high) * row_total
            if math.isfinite(total):
                heights[row, col] = total / (wide * high)
                continue
            total, weights = 0.0, 0.0
            for down in range(2 * high):
                weight_y = 1.0 - abs(down + 1 - high - fraction_y) / high
                for right in range(2 * wide):
                    value = pixels[first_row + down, first_col + right]
                    if math.isfinite(value):
                        total += weight_y * weights_x[right] * value
                        weights += weight_y * weights_x[right]
            heights[row, col] = total / weights if weights >= 0.5 * wide * high else np.nan
