"""A raster file that a person named, opened for its heights: one band, metres, or an error that says what is wrong."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import rasterio
from pyproj import CRS
from rasterio.errors import RasterioError

from orograph.pipeline.errors import BandMismatch, ConfigError, SourceCorrupt, SourceGridError, SourceMissing

_METRES: Final = frozenset({"", "m", "metre", "metres", "meter", "meters"})


@contextlib.contextmanager
def opened_heights(path: Path) -> Iterator[Any]:
    """The open dataset of a raster of heights; what GDAL raises while it is read names the file, too.

    Raises:
        SourceMissing: There is no such file.
        SourceCorrupt: It is no raster, or it cannot be read to its end.
        BandMismatch: It has another number of bands than one.
        SourceGridError: Its heights are in another unit than metres.
    """
    if not path.is_file():
        raise SourceMissing(f"no raster at {path}", source=str(path))
    try:
        with rasterio.open(path) as dataset:
            if dataset.count != 1:
                raise BandMismatch(
                    f"{path.name} has {dataset.count} bands, heights have one",
                    source=str(path),
                    remedy="extract the band with gdal_translate -b",
                )
            refuse_other_units(dataset, str(path))
            yield dataset
    except RasterioError as error:
        raise SourceCorrupt(
            f"{path.name} cannot be read as a raster: {error.__cause__ or error}",
            source=str(path),
            remedy="gdalinfo -checksum shows whether the file is whole",
        ) from error


def refuse_overwriting(source: Path, target: Path) -> None:
    """Refuse a result that would replace what it is made from: the same command again would do it twice.

    Raises:
        ConfigError: Both are one file.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigError(f"{target} is the raster itself", remedy="write to another file")


def refuse_other_units(dataset: Any, source: str) -> None:
    """Refuse heights that their file declares to be in feet, by its vertical CRS or its band's unit.

    Raises:
        SourceGridError: Another unit than metres is declared.
    """
    unit = (dataset.units[0] or "").lower()
    if unit in _METRES and dataset.crs is not None:
        axes = CRS.from_wkt(dataset.crs.to_wkt()).axis_info
        unit = next((a.unit_name for a in axes if a.direction == "up" and a.unit_conversion_factor != 1.0), "")
    if unit not in _METRES:
        raise SourceGridError(
            f"heights are declared in {unit}, not in metres",
            source=source,
            remedy="convert them (gdal_calc.py, gdalwarp to a vertical CRS in metres) and declare the new unit",
        )
