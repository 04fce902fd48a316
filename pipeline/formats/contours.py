"""Contour lines from float heights on points that neighbours share, so lines meet at borders without a gap.

The raster is contoured in strips of bounded size; lines cut by a strip's border are joined again. Where a line ends on
the lattice's outer edge its end is computed anew from the two samples of that edge, always in the same order: the
neighbour holds the same two samples and gets the same numbers.

Source: marching squares of contourpy (serial algorithm, corner masking), levels as whole multiples of the interval.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError, ExportError
from pipeline.formats.mosaic import FloatArray
from pipeline.formats.scratch import writing

ContourFormat = Literal["shp", "gpkg", "fgb"]
DRIVERS: Final[Mapping[ContourFormat, str]] = {"shp": "ESRI Shapefile", "gpkg": "GPKG", "fgb": "FlatGeobuf"}
STRIP_POINTS: Final = 2_000_000
_SNAP: Final = 1e-6
_DATE: Final = "2000-01-01T00:00:00Z"
Line = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Contours:
    """Lines in lattice units (column, row), with the height of each.

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
        interval_m: Distance of levels; 0 is a level.

    Raises:
        ConfigError: the interval is not positive.
        ExportError: fewer than 2 by 2 points.
    """
    if not (math.isfinite(interval_m) and interval_m > 0):
        raise ConfigError(f"contour interval {interval_m} m must be positive")
    rows, cols = heights_m.shape
    if min(rows, cols) < 2:
        raise ExportError(f"{rows} by {cols} points make no contours")
    step = max(1, STRIP_POINTS // cols)
    pieces: dict[float, list[Line]] = defaultdict(list)
    for top in range(0, rows - 1, step):
        strip = heights_m[top : min(rows, top + step + 1)]
        for level, line in _trace_strip(strip, interval_m):
            _pin_ends(line, strip, level)
            line[:, 1] += top
            pieces[level].append(line)
    cuts = set(range(step, rows - 1, step))
    levels, lines = [], []
    for level in sorted(pieces):
        for line in _joined(pieces[level], cuts) if cuts else pieces[level]:
            levels.append(level)
            lines.append(line)
    return Contours(np.array(levels), tuple(lines))


def _trace_strip(strip: FloatArray, interval_m: float) -> Iterator[tuple[float, Line]]:
    import contourpy

    if not np.isfinite(strip).any():
        return
    low, high = float(np.nanmin(strip)), float(np.nanmax(strip))
    generator = contourpy.contour_generator(
        z=np.ma.masked_invalid(strip), name="serial", line_type=contourpy.LineType.Separate, corner_mask=True
    )
    for number in range(math.ceil(low / interval_m), math.floor(high / interval_m) + 1):
        level = number * interval_m
        for line in generator.lines(level):
            if len(line) >= 2:
                yield level, np.array(line, np.float64)


def _joined(pieces: list[Line], cuts: set[int]) -> list[Line]:
    """Lines cut at strip borders made whole: ends that lie on a cut are matched by their place."""
    ends: dict[tuple[float, float], list[int]] = defaultdict(list)
    whole: list[Line] = []
    parts: dict[int, Line] = {}
    for index, line in enumerate(pieces):
        touching = [end for end in (0, -1) if line[end, 1] in cuts]
        if not touching or (line[0] == line[-1]).all():
            whole.append(line)
            continue
        parts[index] = line
        for end in touching:
            ends[_key(line[end])].append(index)
    while parts:
        index, line = parts.popitem()
        for end in (-1, 0):
            while (following := _other(ends, parts, line[end])) is not None:
                piece = parts.pop(following)
                line = _attach(line, piece, end)
        whole.append(line)
    return whole


def _key(point: Line) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _other(ends: dict[tuple[float, float], list[int]], parts: dict[int, Line], point: Line) -> int | None:
    return next((index for index in ends.get(_key(point), ()) if index in parts), None)


def _attach(line: Line, piece: Line, end: int) -> Line:
    meets_start = _key(piece[0]) == _key(line[end])
    if end == -1:
        return np.concatenate([line, (piece if meets_start else piece[::-1])[1:]])
    return np.concatenate([(piece[::-1] if meets_start else piece)[:-1], line])


def _pin_ends(line: Line, heights: FloatArray, level: float) -> None:
    """Put ends on the outer edge where the two samples of that edge say, whatever the way the line was followed.

    The strips' own borders are such edges too, so their ends match exactly when they are joined.
    """
    last_row, last_col = heights.shape[0] - 1, heights.shape[1] - 1
    for end in (0, -1):
        col, row = (float(value) for value in line[end])
        edge_row, edge_col = round(row), round(col)
        if edge_row in {0, last_row} and abs(row - edge_row) < _SNAP:
            line[end] = _crossing(heights[edge_row], col, level), edge_row
        elif edge_col in {0, last_col} and abs(col - edge_col) < _SNAP:
            line[end] = edge_col, _crossing(heights[:, edge_col], row, level)


def _crossing(samples: FloatArray, near: float, level: float) -> float:
    """Where the samples of an edge cross the level, nearest to the place that contourpy found."""
    found = []
    for first in range(max(0, math.floor(near) - 1), min(samples.size - 1, math.floor(near) + 2)):
        before, after = float(samples[first]), float(samples[first + 1])
        if math.isfinite(before + after) and (before > level) != (after > level):
            found.append(first + (level - before) / (after - before))
    return min(found, key=lambda place: abs(place - near), default=near)


def write_contours(
    contours: Contours,
    path: Path,
    *,
    place: Callable[[Line], Line],
    crs: str,
    layer: str | None = None,
    kind: ContourFormat | None = None,
) -> int:
    """Write lines with their height in the field `elevation`; returns how many.

    Args:
        contours: Lines in lattice units.
        path: `.shp`, `.gpkg` or `.fgb`; a shapefile's other parts lie beside it.
        place: Brings (points, 2) of column and row to coordinates of the CRS.
        crs: Horizontal CRS of the file; heights are in the field, so no compound CRS is asked of OGR.
        layer: Layer name; the file's stem by default.
        kind: Format, when the name does not tell.

    Raises:
        ExportError: the format is unknown, or OGR cannot write.
        DiskFull, StoreUnwritable: the disk does not take it.
    """
    suffix = kind or path.suffix.lstrip(".")
    driver = next((driver for name, driver in DRIVERS.items() if name == suffix), None)
    if driver is None:
        raise ExportError(f"no contour format {suffix!r}", remedy=f"use one of {', '.join(DRIVERS)}")
    import pyogrio
    import shapely
    from pyogrio.errors import DataSourceError

    counts = [len(line) for line in contours.lines]
    points = place(np.concatenate(contours.lines)) if counts else np.empty((0, 2))
    lines = shapely.linestrings(points, indices=np.repeat(np.arange(len(counts)), counts))
    options: dict[str, Any] = {"DBF_DATE_LAST_UPDATE": _DATE[:10]} if suffix == "shp" else {}
    if suffix == "gpkg":
        options |= {"GEOMETRY_NAME": "geom", "FID": "fid"}
    # The date a GeoPackage notes would make equal contours differ.
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
