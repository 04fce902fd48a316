"""Search requests, parsed and checked: bounding box, time, geometry, ids, collections, CQL2 filter, page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import shapely

from orograph.stac.serving.bad_query import BadQuery
from orograph.stac.serving.presentation import Fields, SortKey, fields_member, parse_fields, parse_sort, sort_member

if TYPE_CHECKING:
    import cql2

LIMIT_DEFAULT: Final = 10
LIMIT_MAX: Final = 1000
_LIST_MAX: Final = 10_000
# The parser descends by recursion, and a stack that overflows in compiled code takes the whole process with it.
_FILTER_MAX: Final = 20_000
_WORD: Final = re.compile(r"[\w:.-]+")
_NESTING: Final = re.compile(r"[(\[{]|\bNOT\b", re.IGNORECASE)
_NESTING_MAX: Final = 500

_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:)(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_ALWAYS: Final = (-(2**62), 2**62)

Interval = tuple[int, int]
"""Start and end in microseconds since 1970, both within."""

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Filter:
    """A CQL2 expression.

    Attributes:
        expression: The compiled expression.
        words: All words of the expression, including the names of properties.
        properties: Names of the properties that it uses.
    """

    expression: cql2.Expr
    words: frozenset[str]
    properties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Query:
    """A search.

    Attributes:
        area: Area that footprints must intersect, degrees of WGS 84; None for everywhere.
        interval: Time interval that the items' times must intersect.
        ids: Only these items; empty for all.
        collections: Only these collections; empty for all.
        matches: CQL2 expression.
        limit: Number of items per page, at most `LIMIT_MAX`.
        sort: Properties to sort by, with direction; items with equal values are sorted by collection and id.
        fields: Members to return; None for all.
        after: The last item of the previous page, as `collection/id`.
    """

    area: shapely.Geometry | None = None
    interval: Interval = _ALWAYS
    ids: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()
    matches: Filter | None = None
    limit: int = LIMIT_DEFAULT
    sort: tuple[SortKey, ...] = ()
    fields: Fields | None = None
    after: str | None = None


def parse_query(members: Mapping[str, Any]) -> Query:
    """Parse a search from the members of a POST body, or from URL parameters converted to such members.

    Raises:
        BadQuery: a member does not comply with the STAC API specification.
    """
    if members.get("bbox") is not None and members.get("intersects") is not None:
        raise BadQuery("bbox and intersects exclude each other")
    area = None
    if members.get("bbox") is not None:
        area = parse_bbox(members["bbox"])
    elif members.get("intersects") is not None:
        area = parse_geometry(members["intersects"])
    token = members.get("token")
    if token is not None and not (isinstance(token, str) and token.count("/") == 1):
        raise BadQuery("token is none this service gave")
    return Query(
        area=area,
        interval=parse_datetime(members.get("datetime")),
        ids=_names("ids", members.get("ids")),
        collections=_names("collections", members.get("collections")),
        matches=parse_filter(members.get("filter"), members.get("filter-lang"), members.get("filter-crs")),
        limit=parse_limit(members.get("limit")),
        sort=parse_sort(members.get("sortby")),
        fields=parse_fields(members.get("fields")),
        after=token,
    )


def members_of_url(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Convert URL parameters to the members of a POST body: lists are comma-separated, geometries JSON."""
    members: dict[str, Any] = {name: value for name, value in parameters.items() if value != ""}
    for name in ("ids", "collections", "bbox", "sortby", "fields"):
        if name in members:
            members[name] = members[name].split(",")
    if "sortby" in members:
        members["sortby"] = [sort_member(text) for text in members["sortby"]]
    if "fields" in members:
        members["fields"] = fields_member(members["fields"])
    if "bbox" in members:
        members["bbox"] = [_number("bbox", value) for value in members["bbox"]]
    if "limit" in members:
        members["limit"] = int(_number("limit", members["limit"]))
    if "intersects" in members:
        members["intersects"] = _json("intersects", members["intersects"])
    if "filter" in members:
        members.setdefault("filter-lang", "cql2-text")
        if members["filter-lang"] == "cql2-json":
            members["filter"] = _json("filter", members["filter"])
    return members


def parse_bbox(value: Any) -> shapely.Geometry:
    """Parse a box of two or three dimensions; west may be greater than east (across the antimeridian)."""
    if not isinstance(value, list) or len(value) not in {4, 6} or not all(_is_number(v) for v in value):
        raise BadQuery("bbox must be four or six numbers")
    half = len(value) // 2
    west, south, east, north = (float(value[i]) for i in (0, 1, half, half + 1))
    if not (-90 <= south <= north <= 90):
        raise BadQuery("bbox must have south <= north, both within 90 degrees")
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise BadQuery("bbox must have longitudes within 180 degrees")
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.MultiPolygon([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])


def parse_geometry(value: Any) -> shapely.Geometry:
    """Parse a GeoJSON geometry in degrees."""
    try:
        geometry = shapely.from_geojson(json.dumps(value))
    except (shapely.errors.GEOSException, TypeError, ValueError, RecursionError) as error:
        raise BadQuery("intersects is not a GeoJSON geometry") from error
    if not isinstance(value, dict) or "type" not in value or value["type"].startswith("Feature"):
        raise BadQuery("intersects is not a GeoJSON geometry")
    if geometry is None or geometry.is_empty or not shapely.is_valid(geometry):
        raise BadQuery("intersects is an empty or invalid geometry")
    return geometry


def parse_datetime(value: Any) -> Interval:
    """Parse an instant, or a closed or half-open interval, of RFC 3339 times."""
    if value is None:
        return _ALWAYS
    if not isinstance(value, str):
        raise BadQuery("datetime must be text")
    parts = value.split("/")
    if len(parts) == 1:
        instant = _instant(parts[0])
        return instant, instant
    if len(parts) != 2 or all(part in {"", ".."} for part in parts):
        raise BadQuery(f"datetime {value!r} is not an interval")
    start, end = (edge if part in {"", ".."} else _instant(part) for part, edge in zip(parts, _ALWAYS, strict=True))
    if start > end:
        raise BadQuery(f"datetime {value!r} ends before it begins")
    return start, end


def parse_filter(value: Any, language: Any, crs: Any) -> Filter | None:
    """Parse a CQL2 expression, JSON or text."""
    if value is None:
        return None
    import cql2  # of the extra `serve`: searches without a filter work without it

    if crs is not None and crs != "http://www.opengis.net/def/crs/OGC/1.3/CRS84":
        raise BadQuery(f"filter-crs {crs!r} is not offered")
    as_text = isinstance(value, str)
    if language is not None and language != ("cql2-text" if as_text else "cql2-json"):
        raise BadQuery(f"filter-lang {language!r} does not fit the filter")
    try:
        text = value if as_text else json.dumps(_modern(value))
        if len(text) > _FILTER_MAX or len(_NESTING.findall(text)) > _NESTING_MAX:
            raise BadQuery("filter is too long or nested too deeply")
        expression = cql2.parse_text(text) if as_text else cql2.parse_json(text)
        # Writing it out also finds operators with too few arguments, which parsing lets through.
        words = frozenset(_WORD.findall(expression.to_text()))
        document = expression.to_json()
    except (cql2.ParseError, cql2.ValidationError, ValueError, TypeError, RecursionError) as error:
        raise BadQuery(f"filter is not CQL2: {str(error)[:200]}") from error
    if not isinstance(document, bool) and not (isinstance(document, dict) and "op" in document):
        raise BadQuery(f"filter {text[:60]!r} is not a condition", remedy="compare a property: gsd <= 10")
    return Filter(expression, words, frozenset(_properties(document)))


def _properties(value: Any) -> Iterator[str]:
    """Names of the properties in a CQL2 JSON expression."""
    if isinstance(value, list):
        for member in value:
            yield from _properties(member)
    elif isinstance(value, dict):
        if isinstance(value.get("property"), str):
            yield value["property"]
        for member in value.values():
            yield from _properties(member)


def _modern(value: Any) -> Any:
    """The filter with `between` as in CQL2 1.0; clients of its drafts give both bounds in one list."""
    if isinstance(value, list):
        return [_modern(member) for member in value]
    if not isinstance(value, dict):
        return value
    members = {name: _modern(member) for name, member in value.items()}
    arguments = members.get("args")
    if members.get("op") == "between" and isinstance(arguments, list) and len(arguments) == 2:
        bounds = arguments[1]
        return {**members, "args": [arguments[0], *bounds]} if isinstance(bounds, list) else members
    return members


def parse_limit(value: Any) -> int:
    """Parse `limit`: at least 1; larger values are reduced to `LIMIT_MAX`."""
    if value is None:
        return LIMIT_DEFAULT
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadQuery("limit must be a whole number from 1")
    return min(value, LIMIT_MAX)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _instant(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise BadQuery(f"datetime {text[:40]!r} is not RFC 3339")
    date, minutes, seconds, fraction, zone = match.groups()
    # A leap second is the same instant as the last one for us.
    seconds = "59" if seconds == "60" else seconds
    try:
        moment = datetime.fromisoformat(f"{date}T{minutes}{seconds}.{(fraction or '0')[:6]:0<6}{zone.upper()}")
        return microseconds(moment)
    except (ValueError, OverflowError) as error:
        raise BadQuery(f"datetime {text[:40]!r} is not a time: {error}") from error


def _names(name: str, value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value) or len(value) > _LIST_MAX:
        raise BadQuery(f"{name} must be a list of at most {_LIST_MAX} texts")
    return frozenset(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e6


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadQuery(f"{name}: {text[:40]!r} is not a number") from error


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise BadQuery(f"{name} is not JSON") from error
