"""Scratch rasters: windows are written to a tiled GeoTIFF in their final encoding, and halved to its first overview."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.errors import RasterioError

from orograph.pipeline.core.grid import PixelWindow, windows
from orograph.pipeline.errors import DiskFull, ExportError, StoreUnwritable
from orograph.pipeline.formats.overviews import Overview, Shrinking, halve
from orograph.pipeline.formats.statistics import Gatherer

NODATA: Final = -32768.0
BLOCK_PX: Final = 512
HALVING_PX: Final = 1024
_NO_SPACE_BYTES: Final = 1_000_000
Compression = Literal["zstd", "lerc-zstd"]
DType = Literal["float32", "int16", "uint8"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """Encoding of tiles and overviews; integers are always ZSTD and bytes DEFLATE, whatever the compression."""

    compression: Compression = "zstd"
    lerc_max_error_m: float = 0.005
    overview: Overview = "average"

    def options(self, dtype: str) -> dict[str, Any]:
        """GDAL's creation options; level 1, since level 9 saves 3 % for six times the time."""
        if self.compression == "lerc-zstd" and dtype == "float32":
            return {"compress": "LERC_ZSTD", "max_z_error": self.lerc_max_error_m, "zstd_level": 1}
        if dtype == "uint8":
            # Browsers draw pictures and masks; their decoders support DEFLATE but not ZSTD.
            return {"compress": "DEFLATE", "zlevel": 1, "predictor": 2}
        return {"compress": "ZSTD", "zstd_level": 1, "predictor": 3 if dtype == "float32" else 2}


class ScratchWriter:
    """Writes windows in any order; whole blocks of 512 pixels are fastest. Voids are NaN in float arrays."""

    def __init__(
        self, path: Path, geobox: GeoBox, dtype: DType, nodata: float | None, bands: int, how: Encoding
    ) -> None:
        self._path, self._how, self._dtype, self._nodata = path, how, np.dtype(dtype), nodata
        self._shape: tuple[int, int] = geobox.shape.shape
        self._gatherers = [Gatherer(self._shape[0] * self._shape[1]) for _ in range(bands)]
        # Odd sizes are halved later, over the exact areas of the overview's pixels.
        self._halved = max(self._shape) > BLOCK_PX and not (self._shape[0] % 2 or self._shape[1] % 2)
        with writing(path), contextlib.ExitStack() as opened:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._levels = []
            for level in range(2 if self._halved else 1):
                profile = _profile(geobox, level, dtype, nodata, bands, how)
                self._levels.append(opened.enter_context(rasterio.open(level_path(path, level), "w", **profile)))
            self._opened = opened.pop_all()

    def write(self, window: PixelWindow, values: npt.NDArray[Any]) -> None:
        """Write a window: shape (rows, columns) for one band, (bands, rows, columns) for several.

        Raises:
            ExportError: the array has another shape or type than the window and the file.
            DiskFull, StoreUnwritable: the file cannot be written.
        """
        layers = values[np.newaxis] if values.ndim == 2 else values
        expected = (len(self._gatherers), window.height, window.width)
        if layers.shape != expected or layers.dtype != self._dtype:
            raise ExportError(f"a window of {expected} {self._dtype} was given {layers.shape} {layers.dtype}")
        if window.row + window.height > self._shape[0] or window.col + window.width > self._shape[1]:
            raise ExportError(f"{window} reaches beyond a raster of {self._shape}")
        self._halved = self._halved and self._is_even(window)
        for band, layer in enumerate(layers, start=1):
            sealed = self._gatherers[band - 1].take((window.row, window.col), layer, self._nodata)
            with writing(self._path):
                self._levels[0].write(sealed, band, window=window.rasterio)
                if self._halved:
                    half = halve(sealed, self._how.overview, self._nodata)
                    place = PixelWindow(window.row // 2, window.col // 2, *half.shape)
                    self._levels[1].write(half, band, window=place.rasterio)

    def _is_even(self, window: PixelWindow) -> bool:
        ends = (window.row + window.height, window.col + window.width)
        starts_even = window.row % 2 == 0 and window.col % 2 == 0
        return starts_even and all(end % 2 == 0 or end == size for end, size in zip(ends, self._shape, strict=True))

    def close(self, *, complete: bool) -> None:
        """Flush; if complete, store the statistics and the encoding of the file."""
        with writing(self._path):
            lossy = "max_z_error" in self._how.options(self._dtype.name)
            if complete and not lossy:
                self._tag(self._levels[0], self._gatherers)
            self._opened.close()
            if complete and lossy:
                with rasterio.open(self._path, "r+") as dataset:
                    self._tag(dataset, self._measured(dataset))
            if complete:
                note = asdict(self._how) | {"halved": self._halved}
                note_path(self._path).write_text(json.dumps(note))

    @staticmethod
    def _tag(dataset: Any, gatherers: Sequence[Gatherer]) -> None:
        for band, gatherer in enumerate(gatherers, start=1):
            dataset.update_tags(band, **gatherer.result().to_tags())

    def _measured(self, dataset: Any) -> list[Gatherer]:
        """Statistics of the decoded values of a lossy file, which differ slightly from the input."""
        gatherers = [Gatherer(gatherer.pixels) for gatherer in self._gatherers]
        for window in windows(self._shape, HALVING_PX):
            for band, gatherer in enumerate(gatherers, start=1):
                values = dataset.read(band, window=window.rasterio)
                held = np.where(values == self._nodata, np.float32(np.nan), values)
                gatherer.take((window.row, window.col), held, self._nodata)
        return gatherers


@contextlib.contextmanager
def scratch(
    path: Path,
    geobox: GeoBox,
    *,
    dtype: DType = "float32",
    nodata: float | None = None,
    bands: int = 1,
    encoding: Encoding = Encoding(),
) -> Iterator[ScratchWriter]:
    """Open a scratch raster for a window stream that `cog.finish` converts to a COG; removed if the body fails.

    Args:
        path: Path of the file; replaced if it exists. Files next to it contain its overview and its encoding.
        geobox: Grid of the file, its horizontal CRS included.
        dtype: Type of all bands.
        nodata: Value of voids in integer files, None for none. Float files always store NaN as -32768.
        bands: Number of bands.
        encoding: Compression and overviews of the COG; `finish` re-encodes if it is given another.

    Raises:
        DiskFull, StoreUnwritable: the file cannot be written.
    """
    writer = None
    try:
        writer = ScratchWriter(path, geobox, dtype, NODATA if dtype == "float32" else nodata, bands, encoding)
        yield writer
        writer.close(complete=True)
    except BaseException:
        if writer is not None:
            with contextlib.suppress(Exception):
                writer.close(complete=False)
        remove(path)
        raise


def halve_levels(path: Path, how: Encoding, *, first_exists: bool) -> list[Path]:
    """Make the missing overviews, each from the previous level; returns all levels, full resolution first."""
    levels = [path]
    while True:
        with rasterio.open(levels[-1]) as source:
            if max(source.shape) <= BLOCK_PX:
                return levels
            target = level_path(path, len(levels))
            if not (first_exists and len(levels) == 1):
                _halve_file(source, target, how)
        levels.append(target)


def _halve_file(source: Any, target: Path, how: Encoding) -> None:
    dtype, nodata = source.dtypes[0], source.nodata
    rows, cols = source.shape
    profile = _structure((rows + 1) // 2, (cols + 1) // 2, dtype, nodata, source.count, how)
    odd = rows % 2 or cols % 2
    with rasterio.open(target, "w", **profile) as out:
        for window in windows(((rows + 1) // 2, (cols + 1) // 2), HALVING_PX // 2) if odd else ():
            part = Shrinking.of((rows, cols), window)
            for band in source.indexes:
                shrunk = part(source.read(band, window=part.source.rasterio), how.overview, nodata)
                out.write(shrunk, band, window=window.rasterio)
        for window in () if odd else windows((rows, cols), HALVING_PX):
            for band in source.indexes:
                half = halve(source.read(band, window=window.rasterio), how.overview, nodata)
                place = PixelWindow(window.row // 2, window.col // 2, *half.shape)
                out.write(half, band, window=place.rasterio)


def _profile(geobox: GeoBox, level: int, dtype: str, nodata: float | None, bands: int, how: Encoding) -> dict[str, Any]:
    rows, cols = geobox.shape.shape
    if level:
        return _structure((rows + 1) // 2, (cols + 1) // 2, dtype, nodata, bands, how)
    georeference = {"crs": CRS.from_user_input(str(geobox.crs)), "transform": geobox.affine}
    return _structure(rows, cols, dtype, nodata, bands, how) | georeference


def _structure(rows: int, cols: int, dtype: str, nodata: float | None, bands: int, how: Encoding) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "width": cols,
        "height": rows,
        "count": bands,
        "dtype": dtype,
        "nodata": nodata,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "interleave": "pixel" if bands > 1 else "band",
        "photometric": "MINISBLACK",
        "alpha": "no",
        "endianness": "little",
        "transform": Affine(2.0, 0.0, 0.0, 0.0, -2.0, 0.0),  # of overviews, never copied; without one GDAL warns
        "sparse_ok": True,
        "bigtiff": "IF_SAFER",
        **how.options(dtype),
    }


def level_path(path: Path, level: int) -> Path:
    """Path of a level of a scratch file."""
    return path.with_name(f"{path.name}.{level}") if level else path


def note_path(path: Path) -> Path:
    """Path of the encoding note of a scratch file."""
    return path.with_name(f"{path.name}.json")


def remove(path: Path) -> None:
    """Remove a scratch file and its accompanying files."""
    for leftover in (path, note_path(path), *(level_path(path, level) for level in range(1, 16))):
        with contextlib.suppress(OSError):
            leftover.unlink()


def _free_bytes(path: Path) -> float:
    """Free space at a path; GDAL's own message of a failed write seldom gives the reason."""
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return math.inf


@contextlib.contextmanager
def writing(path: object) -> Iterator[None]:
    """Convert errors of GDAL and the system on a full or read-only disk to this project's errors."""
    try:
        yield
    except (RasterioError, OSError) as fault:
        raise disk_error(fault, path) from fault


def disk_error(fault: Exception, path: object) -> ExportError | DiskFull | StoreUnwritable:
    """The typed error for an exception while writing `path`."""
    text, name = f"{fault} {fault.__cause__ or ''}".strip(), Path(str(path)).name
    full = getattr(fault, "errno", None) == errno.ENOSPC or "No space left" in text or "disk full" in text.lower()
    if full or (isinstance(fault, RasterioError) and _free_bytes(Path(str(path))) < _NO_SPACE_BYTES):
        return DiskFull(
            f"no space left while writing {name}", remedy="free space or set --scratch to a folder on a larger disk"
        )
    if isinstance(fault, PermissionError) or "Permission denied" in text or "Read-only" in text:
        return StoreUnwritable(f"cannot write {name}: {text}", remedy="check permissions of the folder")
    return ExportError(f"cannot write {name}: {text}")
