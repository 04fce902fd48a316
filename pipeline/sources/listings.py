"""Reads the listings of sources: STAC, tile indexes, OGC API Features and ATOM feeds, as hrefs with footprints."""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import shapely
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pyproj import CRS, Transformer
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.errors import SourceCorrupt, SourceMissing
from orograph.pipeline.sources.catalogue import AtomFeed, FeatureService, Listed, StacLocation, TileIndex
from orograph.pipeline.sources.source_index import FOOTPRINT_CRS

Read = Callable[[str], bytes]
"""Bytes of a small document by path or URL; raises `SourceMissing`, `SourceUnavailable`."""
Bounds = tuple[float, float, float, float]
Entry = tuple[str, BaseGeometry | None]
"""Href of a file and its footprint in longitude and latitude, None where the listing has none."""

_READERS: Final = 8
_PAGE: Final = 1_000
_MOST_PAGES: Final = 10_000
_DEEPEST_FEED: Final = 3
_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_GEORSS: Final = "{http://www.georss.org/georss}"
_RASTER: Final = re.compile(r"\.(tiff?|hgt|zip|asc|img|jp2)(\?|$)", re.IGNORECASE)
_SIDES: Final = (("xmin", "ymin", "xmax", "ymax"), ("west", "south", "east", "north"))


def read_listing(place: Listed, read: Read, source_id: str, bounds_deg: Bounds | None = None) -> list[Entry]:
    """Files of a place that lists them, each href once.

    Args:
        place: The place.
        read: Reads documents.
        source_id: Id of the source, for errors.
        bounds_deg: West, south, east, north: searchable services return this area only.

    Raises:
        SourceMissing, SourceUnavailable: the listing is not available.
        SourceCorrupt: it differs from its description in the catalogue.
    """
    try:
        if isinstance(place, StacLocation):
            entries = _stac(place, read, bounds_deg)
        elif isinstance(place, TileIndex):
            entries = _tile_index(place, read)
        elif isinstance(place, FeatureService):
            entries = _features(place, read, bounds_deg)
        else:
            entries = _atom(place, read)
        found = dict(entries)
    except (ValueError, KeyError, TypeError, AttributeError, ParseError, DefusedXmlException) as error:
        raise SourceCorrupt(
            f"the listing {place.href} cannot be read: {type(error).__name__}: {error}",
            source=source_id,
            remedy="check `kind`, href and column of the source's data",
        ) from error
    except (SourceMissing, SourceCorrupt) as error:
        raise error.at(source=source_id) from error.__cause__
    if bounds_deg is None and not found:
        raise SourceMissing(f"{place.href} lists no file", source=source_id, remedy="check the href and the collection")
    if bounds_deg is None:
        return list(found.items())
    wanted = box(*bounds_deg)
    return [(href, where) for href, where in found.items() if where is None or where.intersects(wanted)]


def can_search(place: Listed, read: Read) -> bool:
    """Return whether a place can be searched by area, so that planning need not list all of it."""
    if isinstance(place, FeatureService):
        return True
    return isinstance(place, StacLocation) and "conformsTo" in json.loads(read(place.href))


def _stac(place: StacLocation, read: Read, bounds_deg: Bounds | None) -> Iterator[Entry]:
    root = json.loads(read(place.href))
    if "conformsTo" in root:
        items: Iterator[dict[str, Any]] = _searched(root, place, bounds_deg)
    else:
        items = _crawled(root, place.href, read)
    for item in items:
        if place.collection is not None and item.get("collection") != place.collection:
            continue
        asset = item.get("assets", {}).get(place.asset)
        if asset is None:
            raise SourceMissing(
                f"item {item.get('id')} has no asset {place.asset!r}", remedy="set `asset` of the source"
            )
        yield _absolute(asset["href"], item["_href"]), _footprint(item)


def _searched(root: dict[str, Any], place: StacLocation, bounds_deg: Bounds | None) -> Iterator[dict[str, Any]]:
    from pystac_client import Client
    from pystac_client.exceptions import APIError

    collections = None if place.collection is None else [place.collection]
    methods = {link.get("method", "GET") for link in root.get("links", ()) if link.get("rel") == "search"}
    method = "GET" if methods and "POST" not in methods else "POST"
    try:
        search = Client.open(place.href).search(
            method=method, bbox=bounds_deg, collections=collections, limit=_PAGE // 4
        )
        for item in search.items_as_dicts():
            links = {link["rel"]: link["href"] for link in item.get("links", ())}
            yield {**item, "_href": links.get("self", place.href)}
    except (APIError, OSError) as error:
        raise SourceMissing(f"{place.href} cannot be searched: {error}", remedy="check the href") from error


def _crawled(root: dict[str, Any], href: str, read: Read) -> Iterator[dict[str, Any]]:
    """Items of a static catalogue, every document read once, several at a time."""
    if root.get("type") == "Feature":
        yield {**root, "_href": href}
        return
    with ThreadPoolExecutor(_READERS, thread_name_prefix="orograph-stac") as pool:
        level, seen = [(href, root)], {href}
        while level:
            items: list[str] = []
            children: list[str] = []
            for base, document in level:
                for link in document.get("links", ()):
                    target = _absolute(link["href"], base)
                    if link["rel"] in {"item", "child"} and target not in seen:
                        seen.add(target)
                        (items if link["rel"] == "item" else children).append(target)
            for target, data in zip(items, pool.map(read, items), strict=True):
                yield {**json.loads(data), "_href": target}
            level = [
                (target, json.loads(data)) for target, data in zip(children, pool.map(read, children), strict=True)
            ]


def _footprint(feature: Mapping[str, Any]) -> BaseGeometry | None:
    """The geometry of a feature; where there is none, its bounding box."""
    if feature.get("geometry") is not None:
        return shapely.make_valid(shapely.force_2d(shape(feature["geometry"])))
    bbox = feature.get("bbox")
    if bbox is None:
        return None
    half = len(bbox) // 2
    return box(bbox[0], bbox[1], bbox[half], bbox[half + 1])


def _tile_index(place: TileIndex, read: Read) -> Iterator[Entry]:
    suffix = posixpath.splitext(urlsplit(place.href).path)[1].lower()
    if suffix == ".csv":
        return _csv(place, read)
    if suffix in {".parquet", ".geoparquet"}:
        return _parquet(place, read)
    if suffix in {".gti", ".xml"}:
        return _gti(place, read)
    return _vector(place, read)


def _gti(place: TileIndex, read: Read) -> Iterator[Entry]:
    """A GDAL GTI description: it names the index dataset, its layer and its column."""
    root = fromstring(read(place.href))
    dataset = root.findtext("IndexDataset")
    if root.tag != "GDALTileIndexDataset" or dataset is None:
        raise ValueError("not a GDALTileIndexDataset with an IndexDataset")
    inner = TileIndex(
        href=_absolute(dataset, place.href),
        layer=root.findtext("IndexLayer") or place.layer,
        location=root.findtext("LocationField") or place.location,
    )
    return _tile_index(inner, read)


def _vector(place: TileIndex, read: Read) -> Iterator[Entry]:
    import pyogrio

    where = read(place.href) if "://" in place.href else place.href
    try:
        meta, _, wkb, columns = pyogrio.raw.read(where, layer=place.layer)
    except pyogrio.errors.DataSourceError as error:
        raise ValueError(str(error)) from error
    names = list(meta["fields"])
    if place.location not in names:
        raise ValueError(f"no column {place.location!r}; columns are {', '.join(names)}")
    shapes = _to_degrees(shapely.from_wkb(wkb), meta["crs"])
    for location, where_deg in zip(columns[names.index(place.location)], shapes, strict=True):
        yield _absolute(str(location), place.href), where_deg


def _parquet(place: TileIndex, read: Read) -> Iterator[Entry]:
    """GeoParquet with a column of locations, or stac-geoparquet with assets."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(read(place.href)))
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    geo = json.loads((table.schema.metadata or {})[b"geo"])
    primary = geo["primary_column"]
    crs = geo["columns"][primary].get("crs", "OGC:CRS84")
    shapes = _to_degrees(shapely.from_wkb(table.column(primary).to_numpy()), crs)
    if place.location not in table.column_names:
        raise ValueError(f"no column {place.location!r}; columns are {', '.join(table.column_names)}")
    for location, where_deg in zip(table.column(place.location).to_pylist(), shapes, strict=True):
        yield _absolute(location, place.href), where_deg


def _csv(place: TileIndex, read: Read) -> Iterator[Entry]:
    """One file per line; with a heading it may have bounds in degrees, without one the first column is taken."""
    rows = list(csv.reader(io.StringIO(read(place.href).decode("utf-8-sig"))))
    rows = [row for row in rows if row and row[0].strip()]
    if not rows:
        return
    heading = [name.strip().lower() for name in rows[0]]
    column = next((heading.index(n) for n in (place.location, "href", "url") if n in heading), None)
    if column is None:
        yield from ((_absolute(row[0].strip(), place.href), None) for row in rows)
        return
    sides = next((names for names in _SIDES if set(names) <= set(heading)), None)
    for row in rows[1:]:
        bounds = None if sides is None else [float(row[heading.index(side)]) for side in sides]
        yield _absolute(row[column].strip(), place.href), None if bounds is None else box(*bounds)


def _features(place: FeatureService, read: Read, bounds_deg: Bounds | None) -> Iterator[Entry]:
    asked = {"limit": str(_PAGE), "f": "json"}
    if bounds_deg is not None:
        asked["bbox"] = ",".join(f"{value:.7f}" for value in bounds_deg)
    href: str | None = place.href + ("&" if "?" in place.href else "?") + urlencode(asked)
    for _ in range(_MOST_PAGES):
        if href is None:
            return
        page = json.loads(read(href))
        for feature in page["features"]:
            yield _feature_href(feature, place), _footprint(feature)
        links = [link for link in page.get("links", ()) if link.get("rel") == "next"]
        href = _absolute(links[0]["href"], href) if links and page["features"] else None
    raise ValueError(f"more than {_MOST_PAGES} pages")


def _feature_href(feature: Mapping[str, Any], place: FeatureService) -> str:
    named = (feature.get("properties") or {}).get(place.location)
    if named:
        return _absolute(str(named), place.href)
    for link in feature.get("links", ()):
        if link.get("rel") in {"enclosure", "data"}:
            return _absolute(link["href"], place.href)
    raise ValueError(f"feature {feature.get('id')} has neither property {place.location!r} nor an enclosure")


def _atom(place: AtomFeed, read: Read) -> Iterator[Entry]:
    waiting, seen = [(place.href, 0)], {place.href}
    while waiting:
        href, depth = waiting.pop(0)
        feed = fromstring(read(href))
        if feed.tag != f"{_ATOM}feed":
            raise ValueError(f"{href} is not an ATOM feed but {feed.tag}")
        for entry in feed.iter(f"{_ATOM}entry"):
            where = _georss(entry)
            for link in entry.iter(f"{_ATOM}link"):
                target = _absolute(link.get("href", ""), href)
                if "atom+xml" in link.get("type", ""):
                    if target not in seen and depth < _DEEPEST_FEED and link.get("rel") != "self":
                        seen.add(target)
                        waiting.append((target, depth + 1))
                elif _RASTER.search(target) and fnmatch.fnmatch(target, place.pattern):
                    # The area of an entry is that of its one file, or of all of them together.
                    yield _absolute(link.get("href", ""), href), _bbox_of(link) or where
        following = [link.get("href", "") for link in feed.findall(f"{_ATOM}link") if link.get("rel") == "next"]
        for target in (_absolute(one, href) for one in following):
            if target not in seen:
                seen.add(target)
                waiting.append((target, depth))


def _georss(entry: Element) -> BaseGeometry | None:
    """`georss:polygon` or `georss:box`: latitude first."""
    text = entry.findtext(f"{_GEORSS}polygon")
    if text:
        numbers = np.array(text.replace(",", " ").split(), np.float64).reshape(-1, 2)
        return shapely.make_valid(shapely.Polygon(numbers[:, ::-1]))
    text = entry.findtext(f"{_GEORSS}box")
    if text:
        south, west, north, east = (float(number) for number in text.replace(",", " ").split())
        return box(west, south, east, north)
    return None


def _bbox_of(link: Element) -> BaseGeometry | None:
    """INSPIRE's `bbox` attribute of a link: latitude first."""
    text = link.get("bbox")
    if not text:
        return None
    south, west, north, east = (float(number) for number in text.replace(",", " ").split())
    return box(west, south, east, north)


def _to_degrees(shapes: Any, crs: Any) -> Sequence[BaseGeometry | None]:
    if crs is None:
        raise ValueError("the tile index declares no CRS")
    reference = CRS.from_user_input(crs)
    if not reference.is_geographic:
        # Long edges bend in degrees; cut at 40 chords an edge.
        bounds = shapely.bounds(shapes)
        shapes = shapely.segmentize(shapes, max(float(np.nanmax(bounds[:, 2:] - bounds[:, :2])) / 40, 1e-6))
    transformer = Transformer.from_crs(reference, FOOTPRINT_CRS, always_xy=True)

    def move(points: Any) -> Any:
        return np.column_stack(transformer.transform(points[:, 0], points[:, 1]))

    moved: Sequence[BaseGeometry | None] = shapely.make_valid(shapely.transform(shapely.force_2d(shapes), move))
    return moved


def _absolute(href: str, base: str) -> str:
    """An href relative to the document it stands in."""
    if "://" in href or href.startswith("/"):
        return href if "://" in href or "://" not in base else urljoin(base, href)
    if base.startswith(("http://", "https://")):
        return urljoin(base, href)
    scheme, separator, rest = base.partition("://") if "://" in base else ("", "", base)
    return scheme + separator + posixpath.normpath(posixpath.join(posixpath.dirname(rest), href))
