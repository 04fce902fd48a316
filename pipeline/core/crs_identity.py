"""Identify the CRS of a file: by its own code first, then by parameters; names and similar methods are not enough.

Two versions of PROJ are involved (rasterio's and pyproj's), and they name some datums differently. So the code in the
file's keys comes first; it is accepted when its parameters equal the file's. A CRS without a code is the expected one
when both give the corners and the centre of the raster the same geographic position, within a millimetre.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

TOLERANCE_M: Final = 1e-3
_TOLERANCE_DEG: Final = 1e-8
_UNNAMED: Final = re.compile(r"^(unknown|unnamed|user[- _]?defined|undefined|not[ _]specified|custom|$)", re.IGNORECASE)
_GENERIC_WORDS: Final = re.compile(
    r"\b(height|geoid|vertical|datum|system|old|reference|frame|orthometric|normal|ensemble|ft|ftus|feet|foot)\b"
)
_ETRS89: Final = ("etrs89", "europeanterrestrial1989")
_ELLIPSOIDAL: Final = re.compile(r"ellipsoid", re.IGNORECASE)

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class VerticalPart:
    """The vertical part of a file's CRS.

    Attributes:
        name: Name of the vertical CRS, or of the 3D CRS.
        code: `EPSG:<code>` where the file has one.
        datum: Name of the vertical datum.
        unit: Name of the axis unit.
        metres: Metres per unit of the axis.
        down: Whether the axis counts depths.
        ellipsoidal: Whether heights are above the ellipsoid.
    """

    name: str
    code: str | None
    datum: str
    unit: str
    metres: float
    down: bool = False
    ellipsoidal: bool = False

    @property
    def label(self) -> str:
        """Code and name, for messages."""
        return f"{self.code} ({self.name})" if self.code else f"'{self.name}' (no EPSG code)"


@dataclass(frozen=True, slots=True)
class FileCrs:
    """A file's CRS, split into its horizontal and vertical parts.

    Attributes:
        horizontal: The 2D part.
        code: `EPSG:<code>` of the 2D part, where the file's keys state it and its parameters agree, or PROJ identifies
            it with certainty.
        vertical: The vertical part; None if the file has none.
    """

    horizontal: CRS
    code: str | None
    vertical: VerticalPart | None

    @property
    def text(self) -> str:
        """Shortest text of the CRS: its code, otherwise WKT."""
        return self.code or self.horizontal.to_wkt()

    @property
    def label(self) -> str:
        """Code and name, for messages."""
        return f"{self.code} ({self.horizontal.name})" if self.code else repr(self.horizontal.name)


@lru_cache(maxsize=512)
def file_crs(wkt: str, bounds: Bounds | None = None) -> FileCrs:
    """Split and identify a CRS.

    Args:
        wkt: WKT of the file, as GDAL returns it.
        bounds: West, south, east, north of the raster in this CRS; parameters are compared there.

    Raises:
        CRSError: PROJ cannot read the text.
    """
    whole = CRS.from_wkt(wkt)
    vertical: VerticalPart | None = None
    flat = whole
    if whole.is_compound:
        flat, upright = whole.sub_crs_list[:2]
        vertical = _vertical_part(upright)
    elif len(whole.axis_info) == 3:
        flat = whole.to_2d()
        vertical = _vertical_part(whole, ellipsoidal=True)
    if flat.is_bound and flat.source_crs is not None:
        # A TOWGS84 is a hint how to transform, not another CRS, where the CRS below it has a code.
        code = _verified_code(flat.source_crs, bounds)
        return FileCrs(flat.source_crs if code else flat, code, vertical)
    return FileCrs(flat, _verified_code(flat, bounds), vertical)


def same_horizontal(found: FileCrs, expected: str, bounds: Bounds) -> bool:
    """Whether a file's horizontal CRS is the expected one, apart from axis order and names.

    Args:
        found: The file's CRS.
        expected: A 2D CRS, any text that PROJ reads.
        bounds: West, south, east, north of the raster in the file's CRS.
    """
    try:
        wanted = CRS.from_user_input(expected)
    except CRSError:
        return False
    if wanted.is_compound:
        wanted = wanted.sub_crs_list[0]
    wanted = wanted.to_2d()
    code = _code_of(wanted)
    if (code is not None and found.code == code) or found.horizontal.equals(wanted, ignore_axis_order=True):
        return True
    # Two codes may be one CRS whose axes are listed in another order, which a GeoTIFF cannot distinguish.
    if found.code is not None and code is not None and not _one_datum(found.horizontal, wanted):
        return False
    return _same_datum(found.horizontal, wanted) and same_places(found.horizontal, wanted, bounds)


def same_vertical(found: VerticalPart, expected: str) -> bool:
    """Return whether a file's vertical part is the expected frame, ignoring the unit of its axis.

    Args:
        found: Vertical part of the file's CRS.
        expected: Frame such as `EPSG:5709`; the part after an `@` is ignored.
    """
    frame = expected.partition("@")[0]
    if found.code == frame:
        return True
    try:
        wanted = CRS.from_user_input(frame)
    except CRSError:
        return False
    if wanted.is_compound:
        wanted = wanted.sub_crs_list[1]
    ellipsoidal = len(wanted.axis_info) == 3
    if found.ellipsoidal or ellipsoidal:
        return found.ellipsoidal and ellipsoidal
    names = {_plain(wanted.name), _plain(_datum_name(wanted))} - {""}
    if found.code is not None:
        return _plain(found.datum) == _plain(_datum_name(wanted)) != ""
    return bool({_plain(found.name), _plain(found.datum)} & names)


def vertical_part_of(code: str) -> VerticalPart | None:
    """Return the vertical part that a bare code (from metadata) names; None if PROJ does not know it."""
    try:
        crs = CRS.from_user_input(code)
    except CRSError:
        return None
    return _vertical_part(crs, ellipsoidal=len(crs.axis_info) == 3)


def is_empty_statement(part: VerticalPart) -> bool:
    """Whether a vertical part has neither a name nor a code, so that it states nothing."""
    return part.code is None and bool(_UNNAMED.match(part.name)) and bool(_UNNAMED.match(part.datum))


def same_places(one: CRS, other: CRS, bounds: Bounds) -> bool:
    """Whether two CRSs give the corners and the centre of a box the same geographic position, within a millimetre."""
    west, south, east, north = bounds
    xs = [west, west, east, east, (west + east) / 2.0]
    ys = [south, north, south, north, (south + north) / 2.0]
    try:
        moved = Transformer.from_crs(one, other, always_xy=True).transform(xs, ys)
    except (ProjError, CRSError):
        return False
    tolerance = _TOLERANCE_DEG if other.is_geographic else TOLERANCE_M / _unit_m(other)
    return all(_close(a, b, tolerance) for a, b in zip([*xs, *ys], [*moved[0], *moved[1]], strict=True))


def _close(a: float, b: float, tolerance: float) -> bool:
    return math.isfinite(b) and abs(a - b) <= tolerance


def _verified_code(flat: CRS, bounds: Bounds | None) -> str | None:
    """The code in the text, else PROJ's certain match; None where its parameters are not the file's."""
    stated = _stated_code(flat)
    code = stated or _code_of(flat)
    if code is None:
        return None
    try:
        known = CRS.from_user_input(code)
    except CRSError:
        return None
    if known.equals(flat, ignore_axis_order=True):
        return code
    # Datums go by the code here: the two versions of PROJ may name them differently.
    return code if same_places(_without_datum(flat), _without_datum(known), bounds or _sample(known)) else None


def _stated_code(crs: CRS) -> str | None:
    identity = crs.to_json_dict().get("id")
    if isinstance(identity, dict) and identity.get("authority") == "EPSG":
        return f"EPSG:{identity['code']}"
    return None


def _code_of(crs: CRS) -> str | None:
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else None


def _without_datum(crs: CRS) -> CRS:
    """The projection with its ellipsoid alone, so that no datum shift takes part in the comparison."""
    document = crs.to_json_dict()
    _strip_datum(document)
    return CRS.from_json_dict(document)


def _strip_datum(node: dict[str, Any]) -> None:
    node.pop("id", None)
    base = node.get("base_crs")
    if isinstance(base, dict):
        _strip_datum(base)
    for key in ("datum", "datum_ensemble"):
        datum = node.pop(key, None)
        if isinstance(datum, dict):
            plain = {"type": "GeodeticReferenceFrame", "name": "unknown", "ellipsoid": datum["ellipsoid"]}
            if "prime_meridian" in datum:
                plain["prime_meridian"] = datum["prime_meridian"]
            node["datum"] = plain


def _sample(crs: CRS) -> Bounds:
    """A box in the middle of a CRS's area of use, in its coordinates."""
    area = crs.area_of_use
    if area is None:
        return (0.0, 0.0, 1.0, 1.0)
    lon, lat = (area.west + area.east) / 2.0, (area.south + area.north) / 2.0
    if crs.is_geographic:
        return (lon, lat, lon + 0.1, lat + 0.1)
    try:
        x, y = Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform([lon, lon + 0.1], [lat, lat + 0.1])
    except ProjError:
        return (0.0, 0.0, 1.0, 1.0)
    return (x[0], y[0], x[1], y[1])


def _same_datum(one: CRS, other: CRS) -> bool:
    """Whether a shift between the datums is known or needless: equal, or one of them unnamed on the same ellipsoid."""
    if _one_datum(one, other):
        return True
    if not any(_UNNAMED.match(_geodetic_datum(crs)) for crs in (one, other)):
        return False
    ours, theirs = one.ellipsoid, other.ellipsoid
    return (
        ours is not None
        and theirs is not None
        and abs(ours.semi_major_metre - theirs.semi_major_metre) < TOLERANCE_M
        and abs(ours.semi_minor_metre - theirs.semi_minor_metre) < TOLERANCE_M
    )


def _one_datum(one: CRS, other: CRS) -> bool:
    return _reference_frame(one) == _reference_frame(other) != ""


def _reference_frame(crs: CRS) -> str:
    """Name of the datum in plain letters; newer versions of PROJ name ETRS89 by its national realisation."""
    name = _plain(_geodetic_datum(crs))
    return "etrs89" if name.startswith(_ETRS89) else name


def _geodetic_datum(crs: CRS) -> str:
    return crs.datum.name if crs.datum is not None else ""


def _unit_m(crs: CRS) -> float:
    return float(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0


def _vertical_part(crs: CRS, *, ellipsoidal: bool = False) -> VerticalPart:
    axis = crs.axis_info[-1]
    datum = _datum_name(crs)
    return VerticalPart(
        crs.name,
        _stated_code(crs) or _code_of(crs),
        datum,
        axis.unit_name,
        float(axis.unit_conversion_factor) or 1.0,
        axis.direction == "down",
        ellipsoidal or bool(_ELLIPSOIDAL.search(crs.name) or _ELLIPSOIDAL.search(datum)),
    )


def _datum_name(crs: CRS) -> str:
    document = crs.to_json_dict()
    datum = document.get("datum") or document.get("datum_ensemble") or {}
    return str(datum.get("name", ""))


def _plain(name: str) -> str:
    words = _GENERIC_WORDS.sub(" ", name.lower().replace("_", " "))
    return re.sub(r"[^a-z0-9]", "", words)


def places_deg(crs: str, bounds: Bounds) -> Sequence[tuple[float, float]]:
    """Longitude and latitude of the corners and the centre of a box; infinite where the CRS does not reach."""
    west, south, east, north = bounds
    xs = [west, west, east, east, (west + east) / 2.0]
    ys = [south, north, south, north, (south + north) / 2.0]
    flat = CRS.from_user_input(crs)
    geographic = flat.geodetic_crs or flat
    lon, lat = Transformer.from_crs(flat, geographic, always_xy=True).transform(xs, ys)
    return list(zip(lon, lat, strict=True))
