"""Contour lines of heights on a point lattice; neighbours share the border points, so that lines join without a gap.

The crossing of a line and a lattice edge depends on that edge's two samples alone (`marching_squares.py`): the
neighbour has the same two samples and computes the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from orograph.pipeline.core.raster import FloatArray
from orograph.pipeline.errors import ConfigError, ExportError
from orograph.pipeline.formats.marching_squares import lines_by_level
from orograph.pipeline.formats.scratch import writing

ContourFormat = Literal["shp", "gpkg", "fgb"]
DRIVERS: Final[Mapping[ContourFormat, str]] = {"shp": "ESRI Shapefile", "gpkg": "GPKG", "fgb": "FlatGeobuf"}
_DATE: Final = "2000-01-01T00:00:00Z"
Line = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contours:
    """Lines in lattice units (column, row), each with its height.

    Attributes:
        levels_m: Height of each line.
        lines: (points, 2) float64, column then row; closed lines repeat their first point.
    """

    levels_m: npt.NDArray[np.float64]
    lines: tuple[Line, ...]


def trace(heights_m: FloatArray, interval_m: float) -> Contours:
    """Contour lines of a lattice of points.

    Args:
        heights_m: float32 (rows, columns), NaN void; lines end at voids.
        interval_m: Contour interval; 0 is a level.

    Raises:
        ConfigError: the interval is not positive.
        ExportError: fewer than 2 by 2 points.
    """
    if not (math.isfinite(interval_m) and interval_m > 0):
        raise ConfigError(f"contour interval {interval_m} m must be positive")
    rows, cols = heights_m.shape
    if min(rows, cols) < 2:
        raise ExportError(f"{rows} by {cols} points are too few for contours")
    levels, lines = [], []
    for level, line in lines_by_level(heights_m, interval_m):
        levels.append(level)
        lines.append(line)
    return Contours(np.array(levels), tuple(lines))


def write_contours(
    contours: Contours,
    path: Path,
    *,
    place: Callable[[Line], Line],
    crs: str,
    layer: str | None = None,
    kind: ContourFormat | None = None,
) -> int:
    """Write lines with their height in the field `elevation`; returns the number of lines.

    Args:
        contours: Lines in lattice units.
        path: `.shp`, `.gpkg` or `.fgb`; a shapefile's other parts are next to it.
        place: Transforms (points, 2) of column and row to coordinates of the CRS.
        crs: Horizontal CRS of the file; heights are in the field, so no compound CRS is needed.
        layer: Layer name; the file's stem by default.
        kind: Format, if the name does not imply it.

    Raises:
        ExportError: the format is unknown, or OGR cannot write.
        DiskFull, StoreUnwritable: the file cannot be written.
    """
    suffix = kind or path.suffix.lstrip(".")
    driver = next((driver for name, driver in DRIVERS.items() if name == suffix), None)
    if driver is None:
        raise ExportError(f"unknown contour format {suffix!r}", remedy=f"use one of {', '.join(DRIVERS)}")
    import pyogrio
    import shapely
    from pyogrio.errors import DataSourceError

    counts = [len(line) for line in contours.lines]
    points = place(np.concatenate(contours.lines)) if counts else np.empty((0, 2))
    lines = shapely.linestrings(points, indices=np.repeat(np.arange(len(counts)), counts))
    options: dict[str, Any] = {"DBF_DATE_LAST_UPDATE": _DATE[:10]} if suffix == "shp" else {}
    if suffix == "gpkg":
        options |= {"GEOMETRY_NAME": "geom", "FID": "fid"}
    # The date recorded in a GeoPackage would make equal contours differ.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _DATE, "OGR_SQLITE_SYNCHRONOUS": "OFF"})
    try:
        with writing(path):
            pyogrio.raw.write(
                path,
                np.asarray(shapely.to_wkb(lines), object),
                [contours.levels_m],
                np.array(["elevation"], object),
                layer=layer or path.stem,
                driver=driver,
                geometry_type="LineString",
                crs=crs,
                encoding="UTF-8",
                promote_to_multi=False,
                **options,
            )
    except DataSourceError as fault:
        raise ExportError(f"cannot write {path.name}: {fault}") from fault
    return len(counts)
