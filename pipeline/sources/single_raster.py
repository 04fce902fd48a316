"""Read heights of one raster file as metres with NaN for void, independent of the file's encoding.

Every command reads heights through this module, so mask, scale and offset, unit, nodata, order of rows and
columns, and the checks on values are the same everywhere.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject, transform_bounds
from rasterio.windows import Window

from orograph.pipeline.core.pixel_size import ground_pixel_size_m
from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError, OrographError, SourceCorrupt, SourceGridError, SourceMissing
from orograph.pipeline.sources.archives import gdal_path
from orograph.pipeline.sources.fact_reader import read_facts
from orograph.pipeline.sources.facts import Declared, Facts
from orograph.pipeline.sources.nodata import HUGE, reject_undeclared, reject_undeclared_raw, to_void
from orograph.pipeline.sources.opening import open_raster
from orograph.pipeline.sources.partial import RasterFile, ensure

LOWEST_M: Final = -500.0
HIGHEST_M: Final = 9000.0
_STRIP_ROWS: Final = 1024
_KERNEL_PX: Final = 4
_WARP_PX: Final = 2048
"""Side of the target blocks that `on` warps at once."""
_SOURCE_PX: Final = 8192
"""Side of the source windows that `on` reads at once."""


class HeightRaster:
    """An open raster of heights; a context manager, for one thread.

    Args:
        facts: Facts of the raster.
        source: Id of its source, for messages.
        file: The sparse copy of a remote raster, whose blocks are fetched before they are read.
    """

    def __init__(self, facts: Facts, source: str | None = None, file: RasterFile | None = None) -> None:
        self.facts = facts
        self.source = source
        self._file = file
        self.bytes_read = 0
        self._open = contextlib.ExitStack()
        self._dataset: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
        self._dataset = None

    @property
    def name(self) -> str:
        """File name, for messages."""
        return self.facts.path.rpartition("/")[2]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.facts.shape

    @property
    def height(self) -> int:
        """Rows."""
        return self.facts.shape[0]

    @property
    def width(self) -> int:
        """Columns."""
        return self.facts.shape[1]

    @property
    def transform(self) -> Affine:
        """Pixel to CRS, corner based, north up."""
        return self.facts.affine

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in the raster's CRS."""
        return self.facts.bounds

    @property
    def crs(self) -> str | None:
        """Code or WKT of the 2D CRS; None if not stated."""
        return self.facts.horizontal_crs

    @property
    def geobox(self) -> GeoBox:
        """Grid of the raster.

        Raises:
            SourceGridError: its CRS is not stated.
        """
        return GeoBox(self.shape, self.transform, self.known_crs())

    @property
    def pixel_size_m(self) -> tuple[float, float]:
        """Pixel size in metres at the raster's centre, along columns and rows.

        Raises:
            SourceGridError: its CRS is not stated.
        """
        return ground_pixel_size_m(self.transform, self.height, self.known_crs())

    def known_crs(self) -> str:
        """The 2D CRS.

        Raises:
            SourceGridError: it is not stated.
        """
        if self.crs is None:
            raise SourceGridError(
                f"{self.name} has no CRS",
                source=self.source or self.facts.path,
                remedy="assign it with gdal_edit.py -a_srs",
            )
        return self.crs

    def read(self, row: int = 0, col: int = 0, height: int | None = None, width: int | None = None) -> FloatArray:
        """Read a window of heights.

        Args:
            row: First row, north up.
            col: First column, eastwards.
            height: Rows; the rest of the raster by default.
            width: Columns; the rest of the raster by default.

        Returns:
            float32 metres, NaN for void.

        Raises:
            SourceCorrupt: damaged, or heights beyond -500 to 9000 m.
            NodataError: values that can only be undeclared voids.
        """
        height = self.height - row if height is None else height
        width = self.width - col if width is None else width
        heights = self._heights(*self._raw(row, col, height, width))
        reject_undeclared(heights, source=self.source or self.name)
        return gated(heights, self.name, self.source)

    def read_unchecked(self, row: int, col: int, height: int, width: int) -> FloatArray:
        """Read a window like `read`, without the checks on values, to inspect suspicious data."""
        return self._heights(*self._raw(row, col, height, width), checked=False)

    def read_all(self) -> FloatArray:
        """All heights, read by strips so that no second array of the raster's size is made."""
        heights = np.empty(self.shape, np.float32)
        for row in range(0, self.height, _STRIP_ROWS):
            heights[row : row + _STRIP_ROWS] = self.read(row, 0, min(_STRIP_ROWS, self.height - row))
        return heights

    def on(self, grid: GeoBox, resampling: Resampling) -> FloatArray:
        """Heights on another grid by GDAL's kernels, read block by block; float32 metres, NaN for void."""
        rows, cols = grid.shape
        out = np.full((rows, cols), np.nan, np.float32)
        side = self._block_px(grid)
        for row in range(0, rows, side):
            for col in range(0, cols, side):
                place = (slice(row, min(row + side, rows)), slice(col, min(col + side, cols)))
                out[place] = self._warped(grid[place], resampling)
        return out

    def _block_px(self, grid: GeoBox) -> int:
        """Side of the target blocks whose source windows fit into memory."""
        seen = self._seen(grid)
        if not np.isfinite(seen).all():
            return _WARP_PX
        across = self._across(seen, grid)
        return max(16, min(_WARP_PX, int(_SOURCE_PX / max(1.0, across))))

    def _across(self, seen: tuple[float, float, float, float], grid: GeoBox) -> float:
        """Source pixels along a target pixel."""
        return max(
            (seen[2] - seen[0]) / self.transform.a / grid.shape[1],
            (seen[3] - seen[1]) / -self.transform.e / grid.shape[0],
        )

    def _seen(self, grid: GeoBox) -> tuple[float, float, float, float]:
        box = grid.boundingbox
        bounds = transform_bounds(
            str(grid.crs), self.known_crs(), box.left, box.bottom, box.right, box.top, densify_pts=21
        )
        west, south, east, north = map(float, bounds)
        return west, south, east, north

    def _warped(self, grid: GeoBox, resampling: Resampling) -> FloatArray:
        target = np.full(grid.shape, np.nan, np.float32)
        window = self._needed(grid)
        if window is None:
            return target
        row, col, height, width = window
        reproject(
            self.read(row, col, height, width),
            target,
            src_transform=self.transform @ Affine.translation(col, row),
            src_crs=self.known_crs(),
            src_nodata=np.nan,
            dst_transform=grid.affine,
            dst_crs=str(grid.crs),
            dst_nodata=np.nan,
            resampling=resampling,
            num_threads=1,
        )
        return target

    def _needed(self, grid: GeoBox) -> tuple[int, int, int, int] | None:
        """Row, column, height and width of the pixels that kernels need for a grid."""
        seen = self._seen(grid)
        left, top = ~self.transform @ (seen[0], seen[3])
        right, bottom = ~self.transform @ (seen[2], seen[1])
        if not all(map(np.isfinite, (left, top, right, bottom))):
            return 0, 0, self.height, self.width
        reach = math.ceil(_KERNEL_PX * max(1.0, self._across(seen, grid)))
        row, col = max(0, math.floor(top) - reach), max(0, math.floor(left) - reach)
        end_row, end_col = min(self.height, math.ceil(bottom) + reach), min(self.width, math.ceil(right) + reach)
        return (row, col, end_row - row, end_col - col) if row < end_row and col < end_col else None

    def _raw(self, row: int, col: int, height: int, width: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
        """Samples of a north-up window as the file has them, and its mask."""
        facts = self.facts
        window = Window(
            self.width - col - width if facts.mirrored else col,
            self.height - row - height if facts.upside_down else row,
            width,
            height,
        )
        if self._file is not None:
            ensure(self._file, window.col_off, window.row_off, width, height, facts.shape)
        order = (slice(None, None, -1 if facts.upside_down else 1), slice(None, None, -1 if facts.mirrored else 1))
        try:
            dataset = self._opened()
            samples = dataset.read(1, window=window)
            mask = dataset.read_masks(1, window=window) if facts.masked else None
            if facts.alpha:
                mask = dataset.read(2, window=window)
        except RasterioError as error:
            raise SourceCorrupt(
                f"{facts.path} cannot be read at {window}: {error.__cause__ or error}",
                source=self.source or self.name,
                remedy="the file is truncated or damaged; fetch it again",
            ) from error
        self.bytes_read += samples.nbytes
        return samples[order], None if mask is None else mask[order]

    def _opened(self) -> Any:
        if self._dataset is None:
            self._dataset = self._open.enter_context(open_raster(self.facts.path, sidecars=self.facts.sidecars))
        return self._dataset

    def _heights(self, samples: npt.NDArray[Any], mask: npt.NDArray[Any] | None, *, checked: bool = True) -> FloatArray:
        facts = self.facts
        heights = to_void(samples, None, facts.nodata)
        if mask is not None:
            heights[mask == 0] = np.nan
        if facts.converted:
            if checked:
                reject_undeclared_raw(samples, ~np.isnan(heights), source=self.source or self.name)
            scaled = (samples.astype(np.float64) * facts.scale + facts.offset) * facts.metres
            heights = np.where(np.isnan(heights), np.float32(np.nan), scaled).astype(np.float32)
            heights[~(np.abs(heights) < HUGE)] = np.nan
        return heights


def open_heights(path: Path | str, declared: Declared | None = None) -> HeightRaster:
    """Open a raster that the user named, after its facts are checked.

    Raises:
        SourceMissing, SourceCorrupt, BandMismatch, SourceGridError: see `read_facts`.
    """
    name = str(path)
    if "://" not in name and not name.startswith("/vsi") and not Path(name).exists():
        raise SourceMissing(f"no raster at {name}", source=name)
    declared = declared or Declared()
    try:
        return HeightRaster(read_facts(gdal_path(name), declared, label=Path(name).name), declared.source or name)
    except OrographError as error:
        raise error.at(source=name) from error.__cause__


@contextlib.contextmanager
def opened_heights(path: Path, declared: Declared | None = None) -> Iterator[HeightRaster]:
    """`open_heights` as a context; errors of reading name the file."""
    with open_heights(path, declared) as raster:
        yield raster


def gated(heights_m: FloatArray, path: str, source: str | None) -> FloatArray:
    """Return heights unchanged; raise if one is outside -500 to 9000 m, which indicates a flipped bit or a wrong unit.

    Raises:
        SourceCorrupt: a height is outside.
    """
    with np.errstate(invalid="ignore"):
        low, high = np.fmin.reduce(heights_m, axis=None), np.fmax.reduce(heights_m, axis=None)
    if low < LOWEST_M or high > HIGHEST_M:
        raise SourceCorrupt(
            f"{path} contains heights from {low:g} to {high:g} m, beyond {LOWEST_M:g} to {HIGHEST_M:g} m",
            source=source or path,
            remedy="declare the nodata value (gdal_edit.py -a_nodata, --nodata, or `nodata` of the source), or the unit",
        )
    return heights_m


def reject_overwriting(source: Path, target: Path) -> None:
    """Reject an output that would replace its own input: repeating the command would convert it twice.

    Raises:
        ConfigError: Both are one file.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigError(f"{target} is the raster itself", remedy="write to another file")
