"""Reads control points from common formats: CSV and text, GeoPackage and its like, Parquet, and ICESat-2 granules."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pyproj import CRS

from orograph.pipeline.errors import ConfigError, SourceCorrupt, SourceGridError, SourceMissing

Array = npt.NDArray[Any]

_X: Final = ("lon", "longitude", "long", "x", "east", "easting", "e", "lng", "rd_x")
_Y: Final = ("lat", "latitude", "y", "north", "northing", "n", "rd_y")
_H: Final = (
    *("h", "height", "z", "elevation", "elev", "altitude", "ortho_height", "ellipsoidal_height", "height_m", "h_m"),
    *("h_li", "h_mean", "h_te_best_fit", "h_te_median", "nap", "nap_height"),
)
_SIGMA: Final = (
    "sigma",
    "sigma_m",
    "h_sigma",
    "h_li_sigma",
    "h_te_uncertainty",
    "accuracy",
    "std",
    "stddev",
    "vertical_accuracy",
)
_COVER: Final = ("cover", "land_cover", "landcover", "esa_worldcover.value", "worldcover", "segment_landcover")
_HUGE: Final = 1e30


@dataclass(frozen=True, slots=True)
class ControlColumns:
    """Columns of a table, by name or by number from 1; None finds them by their usual names.

    Attributes:
        x, y, height: Place and height; x is longitude or easting.
        sigma: Standard deviation of the height, metres.
        cover: A land-cover class.
        crs: CRS of the places; None takes the file's own, else geographic WGS 84.
    """

    x: str | None = None
    y: str | None = None
    height: str | None = None
    sigma: str | None = None
    cover: str | None = None
    crs: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """Control points: trusted heights at given positions.

    Attributes:
        name: Name of the file.
        x, y: float64 (n,), longitude and latitude in degrees or easting and northing.
        height_m: float64 (n,).
        sigma_m: float64 (n,) standard deviations, NaN where unknown.
        cover: (n,) class names, empty where unknown.
        crs: CRS of the positions, x first.
        frame: Vertical frame of the heights, None if the file names none.
        notes: Notes on the reading.
    """

    name: str
    x: Array
    y: Array
    height_m: Array
    sigma_m: Array
    cover: Array
    crs: CRS
    frame: str | None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of points."""
        return int(self.x.size)

    def only(self, keep: Array) -> Control:
        """Select points by mask or index."""
        parts = {name: getattr(self, name)[keep] for name in ("x", "y", "height_m", "sigma_m", "cover")}
        return replace(self, **parts)


def read_control(path: Path, layout: ControlColumns | None = None) -> Control:
    """Read control points; the suffix of the file gives the format.

    `.csv`, `.txt`, `.tsv`, `.xyz` (separator and header are found; zipped too), `.parquet` (plain or GeoParquet, such
    as SlideRule's ATL06 and ATL08), `.h5` and `.hdf5` (ICESat-2 ATL06 and ATL08 granules), and what GDAL reads as
    vectors.

    Raises:
        SourceMissing: no such file.
        SourceCorrupt: it cannot be read.
        SourceGridError: it has no columns of places or heights.
        ConfigError: HDF5 without h5py.
    """
    if not path.is_file():
        raise SourceMissing(f"the file {path} does not exist", source=path.name)
    asked = layout or ControlColumns()
    name = path.name.lower().removesuffix(".zip")
    readers: dict[tuple[str, ...], Callable[[Path, ControlColumns], Control]] = {
        (".csv", ".txt", ".tsv", ".xyz", ".dat"): _read_text,
        (".parquet", ".geoparquet"): _read_parquet,
        (".h5", ".hdf5", ".hdf"): _read_hdf5,
    }
    reader = next((r for endings, r in readers.items() if name.endswith(endings)), _read_vector)
    control = reader(path, asked)
    good = np.isfinite(control.x) & np.isfinite(control.y) & np.isfinite(control.height_m)
    good &= np.abs(control.height_m) < _HUGE
    if not good.any():
        raise SourceGridError(f"{path.name} has no point with place and height", source=path.name)
    if not good.all():
        dropped = (f"{int((~good).sum())} of {good.size} points have no place or height",)
        control = replace(control.only(good), notes=control.notes + dropped)
    return control


def _column(
    columns: Mapping[str, Array], asked: str | None, usual: tuple[str, ...], what: str, path: Path
) -> Array | None:
    """A column by name or number, else by its usual names; None if it does not exist."""
    names = list(columns)
    if asked is not None:
        if asked in columns:
            return columns[asked]
        if asked.isdigit() and 1 <= int(asked) <= len(names):
            return columns[names[int(asked) - 1]]
        raise SourceGridError(
            f"{path.name} has no column {asked!r} for {what}; it has {', '.join(names[:30])}", source=path.name
        )
    lower = {name.lower(): name for name in reversed(names)}
    return next((columns[lower[name]] for name in usual if name in lower), None)


def _assembled(
    path: Path,
    layout: ControlColumns,
    columns: Mapping[str, Array],
    *,
    xy: tuple[Array, Array] | None = None,
    z: Array | None = None,
    crs: CRS | None = None,
    notes: tuple[str, ...] = (),
) -> Control:
    """A control from columns, with places and heights of a geometry where there is one."""
    x = xy[0] if xy and layout.x is None else _column(columns, layout.x, _X, "x", path)
    y = xy[1] if xy and layout.y is None else _column(columns, layout.y, _Y, "y", path)
    height = _column(columns, layout.height, _H, "the height", path)
    height = z if height is None else height
    missing = [n for n, v in (("--x", x), ("--y", y), ("--height", height)) if v is None]
    if x is None or y is None or height is None:
        raise SourceGridError(
            f"{path.name}: the columns of places and heights are not known; it has {', '.join(list(columns)[:30])}",
            source=path.name,
            remedy=f"name them with {', '.join(missing)} (a name, or a number from 1)",
        )
    sigma = _column(columns, layout.sigma, _SIGMA, "the standard deviation", path)
    cover = _column(columns, layout.cover, _COVER, "land cover", path)
    whole = CRS.from_user_input(layout.crs) if layout.crs else crs or CRS.from_epsg(4326)
    place, frame = _split(whole)
    count = len(x)
    return Control(
        name=path.name,
        x=np.asarray(x, np.float64),
        y=np.asarray(y, np.float64),
        height_m=np.asarray(height, np.float64),
        sigma_m=np.full(count, np.nan) if sigma is None else np.asarray(sigma, np.float64),
        cover=np.full(count, "", object) if cover is None else np.array([_class_name(v) for v in cover], object),
        crs=place,
        frame=frame,
        notes=notes,
    )


def _class_name(value: Any) -> str:
    """A class as text; whole numbers without a decimal point, unknown ones empty."""
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return ""
    if isinstance(value, float | np.floating) and value == int(value):
        return str(int(value))
    return str(value)


def _split(crs: CRS) -> tuple[CRS, str | None]:
    """The horizontal CRS and the vertical frame a CRS declares, None without one."""
    if crs.is_compound:
        code = crs.sub_crs_list[1].to_epsg()
        return crs.sub_crs_list[0], f"EPSG:{code}" if code else None
    if len(crs.axis_info) == 3:
        code = crs.to_epsg()
        return crs.to_2d(), f"EPSG:{code}" if code else None
    return crs, None


def _read_text(path: Path, layout: ControlColumns) -> Control:
    """A table with or without header; separated by commas, semicolons, tabs or blanks."""
    try:
        text = _text_of(path)
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise SourceCorrupt(f"{path.name} cannot be read: {error}", source=path.name) from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise SourceCorrupt(f"{path.name} is empty", source=path.name)
    separator = next((s for s in ("\t", ";", ",") if s in lines[0]), None)
    rows = (
        list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator))
        if separator
        else [r.split() for r in lines]
    )
    has_header = not any(_is_number(cell) for cell in rows[0])
    names = [cell.strip() for cell in rows[0]] if has_header else [str(k + 1) for k in range(len(rows[0]))]
    body = rows[1:] if has_header else rows
    whole = [row for row in body if len(row) >= len(names)]
    notes = () if len(whole) == len(body) else (f"{len(body) - len(whole)} lines are shorter than the header",)
    columns = {name: _numbers([row[k] for row in whole], separator) for k, name in enumerate(names)}
    return _assembled(path, layout, columns, notes=notes)


def _text_of(path: Path) -> str:
    if not zipfile.is_zipfile(path):
        return path.read_text(encoding="utf-8-sig")
    with zipfile.ZipFile(path) as archive:
        return archive.read(archive.namelist()[0]).decode("utf-8-sig")


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _numbers(cells: list[str], separator: str | None) -> Array:
    """A column as numbers where most of it is, else as text; decimal commas where commas do not separate."""
    comma = separator != ","
    out = np.full(len(cells), np.nan)
    seen = 0
    for k, cell in enumerate(cells):
        value = cell.strip().replace(",", ".") if comma else cell.strip()
        try:
            out[k] = float(value)
            seen += 1
        except ValueError:
            continue
    return out if seen >= 0.5 * len(cells) else np.array([cell.strip() for cell in cells], object)


def _read_vector(path: Path, layout: ControlColumns) -> Control:
    """Points of the first layer of a file GDAL reads as vectors."""
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import read

    try:
        meta, _, geometry, values = read(path)
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise SourceCorrupt(f"{path.name} cannot be read: {error}", source=path.name) from error
    shapes = shapely.from_wkb(geometry)
    points = shapely.centroid(shapes) if not (shapely.get_type_id(shapes) == 0).all() else shapes
    z = shapely.get_z(shapes) if shapely.has_z(shapes).any() else None
    columns = dict(zip(meta["fields"], values, strict=True))
    crs = CRS.from_user_input(meta["crs"]) if meta.get("crs") else None
    return _assembled(path, layout, columns, xy=(shapely.get_x(points), shapely.get_y(points)), z=z, crs=crs)


def _read_parquet(path: Path, layout: ControlColumns) -> Control:
    """A Parquet table; places from its geometry column where GeoParquet's metadata names one."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import shapely

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceCorrupt(f"{path.name} cannot be read: {error}", source=path.name) from error
    geo = json.loads((table.schema.metadata or {}).get(b"geo", b"{}"))
    primary = geo.get("primary_column")
    xy = z = crs = None
    if primary in table.column_names and geo["columns"][primary].get("encoding") == "WKB":
        points = shapely.from_wkb(table[primary].to_numpy(zero_copy_only=False))
        xy = shapely.get_x(points), shapely.get_y(points)
        z = shapely.get_z(points) if shapely.has_z(points).any() else None
        declared = geo["columns"][primary].get("crs")
        crs = CRS.from_user_input(declared) if declared else CRS.from_epsg(4326)
    columns = {
        name: table[name].to_numpy(zero_copy_only=False)
        for name in table.column_names
        if name != primary and not pa.types.is_nested(table.schema.field(name).type)
    }
    return _assembled(path, layout, columns, xy=xy, z=z, crs=crs)


_GRANULES: Final = {
    "land_ice_segments": ("h_li", "h_li_sigma", "atl06_quality_summary"),
    "land_segments": ("terrain/h_te_best_fit", "terrain/h_te_uncertainty", None),
}
"""Groups of ATL06 and ATL08 granules per beam: height, its standard deviation, and a flag that is 0 if good."""
_ICESAT_FRAME: Final = CRS.from_epsg(7912)


def _read_hdf5(path: Path, layout: ControlColumns) -> Control:
    """Segments of all beams of an ICESat-2 ATL06 or ATL08 granule, those of good quality."""
    try:
        import h5py
    except ImportError as error:
        raise ConfigError("reading HDF5 needs h5py", remedy="pip install 'orograph[hdf5]'") from error
    parts: list[tuple[Array, ...]] = []
    try:
        with h5py.File(path) as file:
            for beam in sorted(name for name in file if name.startswith("gt")):
                for group, names in _GRANULES.items():
                    if group in file[beam]:
                        parts.append(_segments(file[beam][group], *names))
    except OSError as error:
        raise SourceCorrupt(f"{path.name} cannot be read: {error}", source=path.name) from error
    if not parts:
        raise SourceGridError(f"{path.name} has neither ATL06 nor ATL08 segments", source=path.name)
    x, y, height, sigma = (np.concatenate(column) for column in zip(*parts, strict=True))
    columns = {"longitude": x, "latitude": y, "h_li": height, "h_li_sigma": sigma}
    return _assembled(path, layout, columns, crs=_ICESAT_FRAME)


def _segments(group: Any, height: str, sigma: str, flag: str | None) -> tuple[Array, Array, Array, Array]:
    """Longitude, latitude, height and standard deviation of one beam's good segments."""
    values = [np.asarray(group[name][:], np.float64) for name in ("longitude", "latitude", height, sigma)]
    good = np.asarray(group[flag][:]) == 0 if flag and flag in group else np.ones(values[0].size, np.bool_)
    good &= np.abs(values[2]) < _HUGE
    values[3][np.abs(values[3]) > _HUGE] = np.nan
    x, y, h, s = (value[good] for value in values)
    return x, y, h, s
