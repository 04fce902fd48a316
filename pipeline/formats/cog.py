"""Cloud-optimised GeoTIFFs, written window by window: a local scratch file first, then one deterministic COG.

Files hold -32768 where memory holds NaN: QGIS, OpenDEM's users and HGT tools expect a finite nodata value.
"""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.errors import RasterioError

from pipeline.errors import DiskFull, ExportError, StoreUnwritable
from pipeline.formats.statistics import BandStatistics, Gatherer
from pipeline.grid import PixelWindow

NODATA: Final = -32768.0
BLOCK_PX: Final = 512
Compression = Literal["zstd", "lerc-zstd"]
Overview = Literal["average", "nearest", "mode"]


@dataclass(frozen=True, slots=True)
class CogInfo:
    """A finished COG: statistics of each band, size in bytes."""

    statistics: tuple[BandStatistics, ...]
    size_bytes: int


class ScratchWriter:
    """Takes windows in any order; whole blocks are cheapest. Voids are NaN in float arrays."""

    def __init__(self, dataset: Any, nodata: float | None) -> None:
        self._dataset = dataset
        self._nodata = nodata
        self._float = dataset.dtypes[0] == "float32"
        self._gatherers = [Gatherer(dataset.width * dataset.height) for _ in range(dataset.count)]

    def write(self, window: PixelWindow, values: npt.NDArray[Any]) -> None:
        """Write a window: shape (rows, columns) for one band, (bands, rows, columns) for several.

        Raises:
            ExportError: the array has another shape or type than the window and the file.
        """
        layers = values[np.newaxis] if values.ndim == 2 else values
        expected = (len(self._gatherers), window.height, window.width)
        if layers.shape != expected or layers.dtype != self._dataset.dtypes[0]:
            raise ExportError(
                f"a window of {expected} {self._dataset.dtypes[0]} was given {layers.shape} {layers.dtype}"
            )
        at = (window.row, window.col)
        for band, layer in enumerate(layers):
            gatherer = self._gatherers[band]
            if self._float:
                sealed: npt.NDArray[Any] = gatherer.seal(at, layer, NODATA)
            else:
                gatherer.measure(at, layer, self._nodata)
                sealed = layer
            with writing(self._dataset.name):
                self._dataset.write(sealed, band + 1, window=window.rasterio)

    def close(self) -> None:
        """Keep the statistics and flush; called by `scratch`."""
        for band, gatherer in enumerate(self._gatherers, start=1):
            self._dataset.update_tags(band, **gatherer.result().to_tags())
        self._dataset.close()


@contextlib.contextmanager
def writing(path: object) -> Iterator[None]:
    """Turn what GDAL raises on a full or forbidden disk into this project's errors."""
    try:
        yield
    except (RasterioError, OSError) as fault:
        raise disk_error(fault, path) from fault


def disk_error(fault: Exception, path: object) -> ExportError | DiskFull | StoreUnwritable:
    """The error of the tree for a fault while writing `path`."""
    text = str(fault)
    name = Path(str(path)).name
    if getattr(fault, "errno", None) == errno.ENOSPC or "No space left" in text or "disk full" in text.lower():
        return DiskFull(f"no space left while writing {name}", remedy="free space or set --scratch to a larger disk")
    if isinstance(fault, PermissionError) or "Permission denied" in text or "Read-only" in text:
        return StoreUnwritable(f"cannot write {name}: {text}", remedy="check permissions of the folder")
    return ExportError(f"cannot write {name}: {text}")


@contextlib.contextmanager
def scratch(
    path: Path,
    geobox: GeoBox,
    *,
    dtype: Literal["float32", "int16", "uint8"] = "float32",
    nodata: float | None = None,
    bands: int = 1,
) -> Iterator[ScratchWriter]:
    """A local, tiled, uncompressed GeoTIFF to stream windows into; it is removed when the body fails.

    Args:
        path: Where to write; replaced when it exists.
        geobox: Grid of the file, its horizontal CRS included.
        dtype: Type of all bands.
        nodata: Value of voids in integer files, None for none. Float files always hold NaN as -32768.
        bands: How many bands.

    Raises:
        DiskFull, StoreUnwritable: the disk does not take it.
    """
    in_file = NODATA if dtype == "float32" else nodata
    profile = {
        "driver": "GTiff",
        "width": geobox.shape.x,
        "height": geobox.shape.y,
        "count": bands,
        "dtype": dtype,
        "crs": CRS.from_user_input(str(geobox.crs)),
        "transform": geobox.affine,
        "nodata": in_file,
        "tiled": True,
        "blockxsize": BLOCK_PX,
        "blockysize": BLOCK_PX,
        "interleave": "band",
        "sparse_ok": True,
        "bigtiff": "IF_SAFER",
    }
    try:
        with writing(path):
            dataset = rasterio.open(path, "w", **profile)
        with contextlib.closing(dataset):
            writer = ScratchWriter(dataset, in_file)
            yield writer
            with writing(path):
                writer.close()
    except BaseException:
        _remove(path)
        raise


def finish(
    scratch_path: Path,
    out_path: Path,
    *,
    crs_wkt: str | None = None,
    compression: Compression = "zstd",
    lerc_max_error_m: float = 0.005,
    overview: Overview = "average",
    band_names: Sequence[str] = (),
    band_units: Sequence[str | None] = (),
    tags: Mapping[str, str] | None = None,
) -> CogInfo:
    """Make a scratch file a COG: 512 px blocks, overviews, statistics, names; the scratch file is removed.

    Args:
        scratch_path: What `scratch` wrote.
        out_path: The COG; it appears whole or not at all.
        crs_wkt: Compound CRS as WKT2; the scratch file's horizontal CRS when None.
        compression: Lossless ZSTD level 1 with predictor, or LERC + ZSTD (floats only).
        lerc_max_error_m: Largest error LERC may make, metres.
        overview: How pixels are merged in overviews; voids take no part in averages.
        band_names: Descriptions, one a band, or none.
        band_units: Units, one a band, or none.
        tags: Metadata of the file; give nothing that changes from run to run.

    Raises:
        ExportError: the file is no valid COG or its CRS did not survive.
        DiskFull, StoreUnwritable: the disk does not take it.
    """
    partial = out_path.with_name(f".{out_path.name}.partial.tif")
    try:
        statistics = _label(scratch_path, crs_wkt, band_names, band_units, tags or {})
        with writing(out_path):
            rasterio.shutil.copy(
                scratch_path, partial, **_options(scratch_path, compression, lerc_max_error_m, overview)
            )
        validate(partial, crs_wkt=crs_wkt)
        size = partial.stat().st_size
        partial.replace(out_path)
    finally:
        for leftover in (scratch_path, partial, partial.with_name(partial.name + ".ovr.tmp")):
            _remove(leftover)
    return CogInfo(statistics, size)


def validate(path: Path, *, crs_wkt: str | None = None) -> None:
    """Check that a file is a strictly valid COG and, when given, carries the CRS.

    Raises:
        ExportError: it is not, with rio-cogeo's reasons.
    """
    from rio_cogeo.cogeo import cog_validate

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            valid, errors, warned = cog_validate(str(path), strict=True, quiet=True)
        with rasterio.open(path) as dataset:
            survived = crs_wkt is None or dataset.crs == CRS.from_wkt(crs_wkt)
            area = dataset.tags().get("AREA_OR_POINT") == "Area"
    except RasterioError as fault:
        raise ExportError(f"{path.name} cannot be opened as a COG: {fault}") from fault
    if not valid:
        raise ExportError(f"{path.name} is no valid COG: {'; '.join([*errors, *warned])}")
    if not survived:
        raise ExportError(
            f"{path.name} lost its coordinate reference system", remedy="give a CRS that GeoTIFF can hold"
        )
    if not area:
        raise ExportError(f"{path.name} does not say that its pixels are areas")


def _label(
    path: Path,
    crs_wkt: str | None,
    band_names: Sequence[str],
    band_units: Sequence[str | None],
    tags: Mapping[str, str],
) -> tuple[BandStatistics, ...]:
    try:
        dataset = rasterio.open(path, "r+")
    except (RasterioError, TypeError) as fault:  # a TypeError is rasterio's word for a file of no known format
        raise ExportError(f"scratch file {path.name} cannot be opened: {fault}") from fault
    with writing(path), dataset:
        for named in (band_names, band_units):
            if named and len(named) != dataset.count:
                raise ExportError(f"{len(named)} names or units for {dataset.count} bands of {path.name}")
        if crs_wkt is not None:
            dataset.crs = CRS.from_wkt(crs_wkt)
        dataset.update_tags(**{"AREA_OR_POINT": "Area", **tags})
        for band, name in enumerate(band_names, start=1):
            dataset.set_band_description(band, name)
        for band, unit in enumerate(band_units, start=1):
            if unit is not None:
                dataset.set_band_unit(band, unit)
        return tuple(BandStatistics.from_tags(dataset.tags(band)) for band in dataset.indexes)


def _options(path: Path, compression: Compression, lerc_max_error_m: float, overview: Overview) -> dict[str, str]:
    with rasterio.open(path) as dataset:
        is_float = dataset.dtypes[0] == "float32"
    options = {
        "driver": "COG",
        "BLOCKSIZE": str(BLOCK_PX),
        "OVERVIEW_RESAMPLING": overview.upper(),
        "NUM_THREADS": "1",
        "BIGTIFF": "IF_SAFER",
        "SPARSE_OK": "YES",
        "LEVEL": "1",
    }
    if compression == "lerc-zstd" and is_float:
        return options | {"COMPRESS": "LERC_ZSTD", "MAX_Z_ERROR": repr(lerc_max_error_m)}
    return options | {"COMPRESS": "ZSTD", "PREDICTOR": "3" if is_float else "2"}


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)  # noqa: PTH108 - Path.unlink raises on a missing folder as well
