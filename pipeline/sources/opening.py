"""Open a raster of any supported format with the GDAL driver of its format; XYZ text is first converted to a raster.

Text and packed rasters beyond a size are rejected with the remedy `orograph ingest`, which opens them inside
`converting`: there, files of any size are read, and XYZ text becomes a temporary GeoTIFF.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import MemoryFile

from orograph.pipeline.sources.mosaic_files import members_of, opened_index
from orograph.pipeline.sources.raster_formats import (
    GEOTIFF,
    POINTS,
    TILE_INDEX,
    RasterFormat,
    check_size,
    format_of,
    head_of,
    in_zip,
    opened_bytes,
)
from orograph.pipeline.sources.text_points import Lattice, Layout, fill, lattice_of, layout_of

_KEPT_BYTES: Final = 256 * 2**20
_CONVERTING: ContextVar[Path | None] = ContextVar("converting", default=None)


@contextlib.contextmanager
def converting(folder: Path) -> Iterator[None]:
    """Open files of any size in this block; XYZ text becomes GeoTIFFs in a folder.

    Args:
        folder: Existing folder on a disk with room for 4 bytes per point.
    """
    token = _CONVERTING.set(folder)
    try:
        yield
    finally:
        _CONVERTING.reset(token)


@contextlib.contextmanager
def opened_raster(name: str, *, sidecars: bool = False) -> Iterator[Any]:
    """Context with a raster opened for its metadata; GDAL reads some of it late, so its environment stays set.

    Raises:
        see `open_raster`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        found = _recognised(name)
        with _environment(found, sidecars=sidecars), _opened(name, found) as dataset:
            yield dataset


def open_raster(name: str, *, sidecars: bool = False) -> Any:
    """Open a raster to read its samples in full resolution; the caller closes the dataset.

    Args:
        name: Local path, or name of a member of a zip archive (`/vsizip/...`).
        sidecars: Whether GDAL reads `.aux.xml`, `.msk` and world files.

    Raises:
        SourceMissing, SourceCorrupt: no raster of a known format, or a part of a mosaic is missing.
        IngestNeeded: a file that is too large to be read directly.
        SourceGridError: XYZ points that are not on a lattice; a mosaic that resamples.
        RasterioError: GDAL cannot open it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        found = _recognised(name)
        with _environment(found, sidecars=sidecars):
            # Other formats warn about an option they do not know.
            full = {"OVERVIEW_LEVEL": "NONE"} if found.driver in {"GTiff", "VRT"} else {}
            return _opened(name, found, **full)


def _recognised(name: str) -> RasterFormat:
    if name.startswith("/vsi") and in_zip(name) is None:
        return GEOTIFF
    found = format_of(name)
    if _CONVERTING.get() is None:
        check_size(name, found)
    if found.mosaic:
        members_of(name)
    return found


def _opened(name: str, found: RasterFormat, **options: Any) -> Any:
    if found is POINTS:
        return _RASTERISED.opened(name)
    if found is TILE_INDEX:
        name, options = opened_index(name)
    return rasterio.open(name, driver=found.driver, **options)


def _environment(found: RasterFormat, *, sidecars: bool) -> rasterio.Env:
    """GDAL's environment: formats of several files find their parts only where folders are looked at by name."""
    alone = not sidecars and not found.companions and found.driver not in {"AIG", "GTI"}
    return rasterio.Env(
        GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR" if alone else "TRUE", GDAL_PAM_ENABLED="YES" if sidecars else "NO"
    )


class _Rasterised:
    """XYZ texts as GeoTIFFs in memory, or in the folder of `converting`; the least recently used go first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], tuple[MemoryFile, int]] = OrderedDict()
        self._files: dict[tuple[object, ...], Path] = {}

    def opened(self, name: str) -> Any:
        """Path of the raster made from a text file; made at the first call."""
        folder = _CONVERTING.get()
        state = Path((in_zip(name) or (name,))[0]).stat()
        key = (name, folder, state.st_size, state.st_mtime_ns, state.st_ino)
        with self._lock:
            if folder is not None:
                path = self._files.get(key)
                if path is None or not path.exists():
                    path = self._files[key] = _in_folder(name, folder)
                return rasterio.open(path, driver="GTiff")
            if key not in self._kept:
                self._kept[key] = _in_memory(name)
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > _KEPT_BYTES:
                _, (old, _) = self._kept.popitem(last=False)
                old.close()
            # Datasets keep their memory file alive after it was dropped here.
            return rasterio.open(self._kept[key][0].name, driver="GTiff")


_RASTERISED: Final = _Rasterised()


def _lattice(name: str) -> tuple[Layout, Lattice]:
    label = name.rpartition("/")[2]
    layout = layout_of(head_of(name), label)
    return layout, lattice_of(lambda: opened_bytes(name), layout, label)


def _in_memory(name: str) -> tuple[MemoryFile, int]:
    layout, lattice = _lattice(name)
    heights = np.full(lattice.shape, np.nan, np.float32)
    fill(lambda: opened_bytes(name), layout, lattice, heights, name.rpartition("/")[2])
    memory = MemoryFile(ext=".tif")
    _write(memory.name, lattice, heights)
    return memory, heights.nbytes


def _in_folder(name: str, folder: Path) -> Path:
    """The GeoTIFF of a text file in a folder; heights pass through a file that is mapped, not through memory."""
    layout, lattice = _lattice(name)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".f4") as file:
        heights = np.memmap(file.name, np.float32, "w+", shape=lattice.shape)
        rows = max(1, 2**22 // lattice.shape[1])
        for row in range(0, lattice.shape[0], rows):
            heights[row : row + rows] = np.nan
        fill(lambda: opened_bytes(name), layout, lattice, heights, name.rpartition("/")[2])
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".tif", delete=False) as target:
            path = Path(target.name)
        _write(str(path), lattice, heights)
        del heights
    return path


def _write(target: str, lattice: Lattice, heights: Any) -> None:
    rows, cols = lattice.shape
    strip = max(1, min(rows, 2**20 // cols))
    profile = {"driver": "GTiff", "width": cols, "height": rows, "count": 1, "dtype": "float32", "nodata": np.nan}
    with rasterio.open(target, "w", transform=lattice.affine, blockysize=strip, bigtiff="IF_SAFER", **profile) as file:
        # Text places each height by its own coordinates: they are pixel centres, whatever the source calls its pixels.
        file.update_tags(OROGRAPH_CENTRES="yes")
        for row in range(0, rows, strip):
            part = np.asarray(heights[row : row + strip])
            file.write(part, 1, window=((row, row + len(part)), (0, cols)))
