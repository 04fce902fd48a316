"""Reconcile the facts stated by file, side-car, and catalogue or command.

Each function returns the agreed value or raises a `SourceGridError` that names the wrong statement where it can be
determined.
"""

from __future__ import annotations

import math
from typing import Final

from affine import Affine
from pyproj import Geod
from pyproj.exceptions import CRSError, ProjError

from orograph.pipeline.core.crs_identity import (
    Bounds,
    FileCrs,
    VerticalPart,
    file_crs,
    is_empty_statement,
    places_deg,
    same_horizontal,
    same_vertical,
    vertical_part_of,
)
from orograph.pipeline.core.height_unit import height_unit, unit_of_length
from orograph.pipeline.errors import SourceGridError
from orograph.pipeline.sources.facts import Declared, Word
from orograph.pipeline.sources.statement import Statement

RESOLUTION_FACTOR: Final = 1.2
"""A declared resolution further off than this is the other product of the same agency, not a rounded number."""
_WGS_84: Final = Geod(ellps="WGS84")
_FEET_IN_NAME: Final = ("(ft)", "(ftus)", "feet", "foot", "ftus")


def north_up(statement: Statement, label: str) -> tuple[Affine, bool, bool]:
    """The transform of the raster turned north up, and whether its columns and rows are read backwards."""
    affine = statement.affine
    if affine is None:
        raise SourceGridError(
            f"{label} has no georeferencing: neither keys nor a world file",
            remedy="give it one (gdal_edit.py -a_ullr) or put its world file next to it",
        )
    if affine.b or affine.d or not affine.a or not affine.e:
        raise SourceGridError(
            f"{label} is rotated: {tuple(affine)[:6]}", remedy="warp it to a north-up grid (gdalwarp) first"
        )
    rows, cols = statement.shape
    mirrored, upside_down = affine.a < 0, affine.e > 0
    west = affine.c + affine.a * cols if mirrored else affine.c
    north = affine.f + affine.e * rows if upside_down else affine.f
    return Affine(abs(affine.a), 0.0, west, 0.0, -abs(affine.e), north), mirrored, upside_down


def bounds_of(affine: Affine, shape: tuple[int, int]) -> Bounds:
    """West, south, east, north of a north-up raster."""
    return affine.c, affine.f + shape[0] * affine.e, affine.c + shape[1] * affine.a, affine.f


def parsed_crs(wkt: str, bounds: Bounds, label: str) -> FileCrs:
    """A file's CRS, split and identified."""
    try:
        return file_crs(wkt, bounds)
    except (CRSError, ProjError) as error:
        raise SourceGridError(
            f"{label} declares a CRS that PROJ cannot read: {error}",
            remedy="assign its EPSG code (gdal_edit.py -a_srs)",
        ) from error


def agreed_horizontal(own: FileCrs | None, declared: Declared, bounds: Bounds, label: str) -> str | None:
    """Return the 2D CRS of file and declaration; None if neither states it."""
    if own is None or declared.horizontal_crs is None:
        return declared.horizontal_crs if own is None else own.text
    if same_horizontal(own, declared.horizontal_crs, bounds):
        return declared.horizontal_crs
    raise SourceGridError(
        f"{label} is in {own.label}, its {_end(declared)} says {declared.horizontal_crs}; the two place it differently",
        remedy=_wrong_end(own, declared, bounds),
    )


def _end(declared: Declared) -> str:
    return "source" if declared.by is Word.CATALOGUE else "command"


def _wrong_end(own: FileCrs, declared: Declared, bounds: Bounds) -> str:
    """Return which of the two is wrong, from the position that each gives the file."""
    catalogue = "correct horizontal_crs in the source catalogue" if declared.by is Word.CATALOGUE else "leave --crs out"
    file = f"correct the file (gdal_edit.py -a_srs {declared.horizontal_crs})"
    by_file = _meets(own.text, bounds, declared.area_deg)
    by_declared = _meets(declared.horizontal_crs or "", bounds, declared.area_deg)
    if by_file and not by_declared:
        return catalogue
    if by_declared and not by_file:
        return f"the file's CRS puts it outside the source's area: {file}"
    return f"{catalogue}, or {file}"


def _meets(crs: str, bounds: Bounds, area_deg: Bounds | None) -> bool:
    """Return whether a box is inside an area, by a CRS."""
    west, south, east, north = area_deg or (-180.0, -90.0, 180.0, 90.0)
    try:
        places = places_deg(crs, bounds)
    except (CRSError, ProjError):
        return False
    return all(west - 1 <= lon <= east + 1 and south - 1 <= lat <= north + 1 for lon, lat in places)


def check_place(crs: str, bounds: Bounds, label: str) -> None:
    """Reject coordinates that the CRS cannot have: degrees beyond the globe, or metres with a zone number in front."""
    try:
        places = places_deg(crs, bounds)
    except (CRSError, ProjError) as error:
        raise SourceGridError(f"{label} cannot be placed by {crs}: {error}") from error
    if all(-180.5 <= lon <= 360.5 and -90.5 <= lat <= 90.5 for lon, lat in places):
        return
    west, south, east, north = bounds
    zone = int(west // 1_000_000)
    hint = "correct the CRS, or the file's georeferencing"
    if 1 <= zone <= 60 and zone == int(east // 1_000_000):
        hint = f"zone number {zone} in front of the eastings? use the CRS that has it (EPSG:4647 is zone 32 of ETRS89)"
    raise SourceGridError(
        f"{label} is outside {crs}: {west:.9g} to {east:.9g} east, {south:.9g} to {north:.9g} north", remedy=hint
    )


def own_vertical(own: FileCrs | None, datum: str | None, label: str) -> VerticalPart | None:
    """Return the vertical part of a file's CRS or metadata; None if the file has neither."""
    part = None if own is None or own.vertical is None or is_empty_statement(own.vertical) else own.vertical
    tagged = None if datum is None else vertical_part_of(datum)
    if part is not None and tagged is not None and datum is not None and not same_vertical(part, datum):
        raise SourceGridError(
            f"{label} contradicts itself: its CRS declares {part.label}, its metadata {tagged.label}",
            remedy="correct the one that is wrong (gdal_edit.py -a_srs, or -mo VERTICAL_DATUM=...)",
        )
    return part or tagged


def agreed_vertical(part: VerticalPart | None, declared: Declared, label: str) -> str | None:
    """Return the vertical frame of file and declaration; None if neither states it."""
    if part is None:
        return declared.vertical_frame
    if part.down:
        raise SourceGridError(
            f"{label} declares depths, counted downwards: {part.label}", remedy="turn their sign (gdal_calc.py) first"
        )
    if declared.vertical_frame is None:
        return _frame_of(part)
    if same_vertical(part, declared.vertical_frame):
        return declared.vertical_frame
    what = "ellipsoidal heights" if part.ellipsoidal else f"vertical CRS {part.label}"
    option = "vertical_frame in the source catalogue" if declared.by is Word.CATALOGUE else "--from"
    raise SourceGridError(
        f"{label} declares {what}, its {_end(declared)} says {declared.vertical_frame}",
        remedy=f"correct {option}, or the file (gdal_edit.py -a_srs)",
    )


def _frame_of(part: VerticalPart) -> str:
    """Return the frame of a file without a declaration; any ellipsoidal height refers to GRS 80."""
    return "EPSG:4937" if part.ellipsoidal else part.code or part.name


def stated_axis(part: VerticalPart | None) -> bool:
    """Whether the file's vertical axis has a unit other than GDAL's default."""
    return part is not None and part.metres != 1.0


def agreed_unit(statement: Statement, own: FileCrs | None, declared: Declared, label: str) -> tuple[str, float]:
    """Return the unit of the heights from band, vertical axis and declaration; raise if they contradict each other."""
    said: dict[str, tuple[str, float]] = {}
    if statement.unit:
        said["the band"] = _known_unit(statement.unit, f"heights of {label} are declared in")
    part = None if own is None else own.vertical
    if part is not None and is_empty_statement(part):
        # GDAL reports metre for the band if the axis declares no unit.
        said = {who: unit for who, unit in said.items() if unit[1] != 1.0}
    elif part is not None:
        axis = unit_of_length(part.metres)
        if axis is None:
            raise SourceGridError(f"the vertical axis of {label} has the unit {part.unit!r}", remedy="declare metres")
        if part.metres == 1.0 and any(word in part.name.lower() for word in _FEET_IN_NAME):
            _check_named_feet(part, declared, label)
            # GDAL reports metre for axis and band if the GeoTIFF keys cannot name the unit.
            said.clear()
        else:
            said["the vertical axis"] = axis
    if declared.unit is not None:
        said[f"the {_end(declared)}"] = _known_unit(declared.unit, f"the {_end(declared)} declares heights in")
    units = set(said.values())
    if len(units) > 1:
        words = ", ".join(f"{who} says {unit}" for who, (unit, _) in said.items())
        raise SourceGridError(
            f"the unit of the heights of {label} is contradictory: {words}", remedy="correct one of them"
        )
    unit, metres = units.pop() if units else ("metre", 1.0)
    if metres != 1.0 and math.isclose(statement.scale, metres, rel_tol=1e-6):
        raise SourceGridError(
            f"{label} declares both the scale {statement.scale:g} and the unit {unit}: heights would be scaled twice",
            remedy="declare metres if the scale makes them metres (gdal_edit.py -units metre)",
        )
    return unit, metres


def _known_unit(text: str, who: str) -> tuple[str, float]:
    known = height_unit(text)
    if known is None:
        raise SourceGridError(
            f"{who} {text!r}, which is not a unit of length",
            remedy="declare metre, foot or US survey foot (gdal_edit.py -units metre), or convert the heights",
        )
    return known


def _check_named_feet(part: VerticalPart, declared: Declared, label: str) -> None:
    """Raise for a vertical CRS with feet in its name and no unit: the user must declare which foot it is."""
    known = None if declared.unit is None else height_unit(declared.unit)
    if known is None or not known[0].endswith("foot"):
        raise SourceGridError(
            f"heights of {label} are declared in feet by the name of their vertical CRS, {part.name!r}, not by its unit",
            remedy="name the unit: `unit: foot` or `unit: US survey foot` in the source catalogue, or convert them",
        )


def check_resolution(crs: str, affine: Affine, shape: tuple[int, int], declared_m: float, label: str) -> None:
    """Compare the declared resolution with the pixel size in metres at the raster's centre."""
    x, y = affine @ (shape[1] / 2.0, shape[0] / 2.0)
    box = (x, y + affine.e, x + affine.a, y)
    try:
        south_west, north_west, south_east, *_ = places_deg(crs, box)
    except (CRSError, ProjError):
        return
    if not all(map(math.isfinite, (*south_west, *north_west, *south_east))):
        return
    sides = [_WGS_84.inv(*south_west, *other)[2] for other in (south_east, north_west)]
    if min(sides) / RESOLUTION_FACTOR <= declared_m <= max(sides) * RESOLUTION_FACTOR:
        return
    found = f"{sides[1]:.3g}" if math.isclose(*sides, rel_tol=0.02) else f"{sides[0]:.3g} x {sides[1]:.3g}"
    raise SourceGridError(
        f"pixels of {label} are {found} m, its source says {declared_m:g} m",
        remedy=f"set resolution_m: {_rounded(sides[1])} in the source catalogue, or give the files of the {declared_m:g} m product",
    )


def _rounded(metres: float) -> str:
    return f"{float(f'{metres:.3g}'):g}"
