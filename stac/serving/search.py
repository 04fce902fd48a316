"""In-memory search over the GeoParquet index: arrays preselect items, then geometry and CQL2 are tested.

A snapshot is immutable and swapped as a whole. An update compares the hashes of the blocks' index
files, which the collection records, so that after a publication a search costs one HEAD per collection and the changed
blocks. Items are cached as response bytes, in which `FILES`, `API` and `MAPS` are placeholders for addresses.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import shapely

from orograph.pipeline.core.objects import ObjectStore
from orograph.stac.documents import layout
from orograph.stac.documents.collections import COLLECTIONS
from orograph.stac.documents.index import decode_items
from orograph.stac.documents.json import ITEM_TYPE, Document
from orograph.stac.serving.api_documents import QUERYABLES
from orograph.stac.serving.bad_query import BadQuery
from orograph.stac.serving.map_links import with_map_links
from orograph.stac.serving.query import Filter, Query, microseconds

if TYPE_CHECKING:
    import cql2

FILES: Final = "@files@"
API: Final = "@api@"
MAPS: Final = "@maps@"
_REPLACED_LINKS: Final = ("root", "parent", "collection", "self")


COMMON_METADATA: Final = frozenset(
    {"constellation", "description", "gsd", "instruments", "keywords", "license", "mission", "platform", "title"}
)
"""Fields that STAC defines for items of every kind."""


@dataclass(frozen=True)
class Part:
    """The items of one block, sorted by id.

    Attributes:
        digest: sha256 of the index file it was read from.
        names: `collection/id` of each item.
        bounds_deg: float64, shape (items, 4): west, south, east, north.
        times_us: int64, shape (items, 3): first, last and nominal instant, microseconds since 1970.
        bodies: JSON of the items, with placeholders for addresses.
        properties: Names of the properties that any of the items has.
    """

    digest: str
    names: tuple[str, ...]
    bounds_deg: npt.NDArray[np.float64]
    times_us: npt.NDArray[np.int64]
    geometries: npt.NDArray[Any]
    bodies: tuple[bytes, ...]
    properties: frozenset[str] = frozenset()

    def body(self, row: int) -> bytes:
        """The item's JSON, with the placeholders `FILES` and `API` for addresses."""
        return self.bodies[row]

    @cached_property
    def queryables(self) -> tuple[Document, ...]:
        """Values of each item that a CQL2 filter may use besides its geometry: scalar properties, id, collection."""
        return tuple(_queryable(orjson.loads(body)) for body in self.bodies)


@dataclass(frozen=True)
class Page:
    """One page of found items.

    Attributes:
        bodies: JSON of the items, with the placeholders `FILES` and `API` for addresses.
        matched: Number of items on all pages; None if not counted.
        next_after: The last item of this page, `collection/id`; None on the last page.
    """

    bodies: list[bytes]
    matched: int | None
    next_after: str | None


@dataclass(frozen=True)
class Snapshot:
    """All items at one moment, sorted by `collection/id`.

    Attributes:
        collections: Published collection documents by id.
        names: `collection/id` of each item, sorted.
        places: Position of each item's body.
        bounds_deg: float64, shape (items, 4).
        times_us: int64, shape (items, 3).
        geometries: Footprints.
    """

    collections: dict[str, Document]
    names: tuple[str, ...]
    places: tuple[tuple[Part, int], ...]
    bounds_deg: npt.NDArray[np.float64]
    times_us: npt.NDArray[np.int64]
    geometries: npt.NDArray[Any]

    @classmethod
    def of(cls, collections: dict[str, Document], parts: Iterable[Part]) -> Snapshot:
        """Build a snapshot from collections and the items of their blocks."""
        parts = tuple(parts)
        places = [(part, row) for part in parts for row in range(len(part.names))]
        names = [name for part in parts for name in part.names]
        order = sorted(range(len(names)), key=names.__getitem__)
        return cls(
            collections=collections,
            names=tuple(names[i] for i in order),
            places=tuple(places[i] for i in order),
            bounds_deg=np.concatenate([np.empty((0, 4)), *(part.bounds_deg for part in parts)])[order],
            times_us=np.concatenate([np.empty((0, 3), np.int64), *(part.times_us for part in parts)])[order],
            geometries=np.concatenate([np.empty(0, object), *(part.geometries for part in parts)])[order],
        )

    def search(self, query: Query) -> Page:
        """Find the items of a query, by default in the order of collection and id.

        With a filter and no sort order, items are tested only until the page is full, and `matched` is not counted.
        """
        self._check_names(query)
        found = self._sieved(query)
        if query.sort:
            return self._sorted_page(query, found.tolist())
        after = 0 if query.after is None else bisect_right(self.names, query.after)
        rest: Iterable[int] = found[np.searchsorted(found, after) :].tolist()
        if query.matches is not None:
            rest = self._filtered(rest, query.matches)
        rows = list(islice(rest, query.limit + 1))
        page, more = rows[: query.limit], len(rows) > query.limit
        matched = len(found) if query.matches is None else None
        return Page([self._body(row) for row in page], matched, self.names[page[-1]] if more else None)

    @cached_property
    def _known_names(self) -> frozenset[str]:
        """Names a filter may ask of and a search may sort by."""
        parts = {id(part): part for part, _ in self.places}.values()
        return frozenset(QUERYABLES).union(*(part.properties for part in parts))

    def _check_names(self, query: Query) -> None:
        """Reject misspelt properties, which would find nothing.

        A field of STAC's common metadata or of an extension that no item has, such as `mission` or `eo:cloud_cover`, is
        absent rather than misspelt: clients send one filter to several catalogues.

        Raises:
            BadQuery: a name without prefix, or with the prefix of one of the items' extensions, that no item has.
        """
        if not self.names:
            return
        known = self._known_names
        prefixes = {name.partition(":")[0] for name in known if ":" in name}
        asked = set() if query.matches is None else query.matches.properties
        for name in sorted(asked | {key.name for key in query.sort}):
            prefix, colon, _ = name.partition(":")
            if name not in known | COMMON_METADATA and (not colon or prefix in prefixes):
                near = get_close_matches(name.removeprefix("properties."), known, n=3) or sorted(QUERYABLES)
                raise BadQuery(f"no item has the property {name!r}; near it: {', '.join(near)}")

    def _sorted_page(self, query: Query, found: list[int]) -> Page:
        if query.matches is not None:
            found = list(self._filtered(found, query.matches))
        for key in reversed(query.sort):
            values = {row: self._value(row, key.name) for row in found}
            found.sort(key=lambda row: _rank(values[row]), reverse=key.descending)
            found.sort(key=lambda row: values[row] is None)
        first = 0
        if query.after is not None:
            last = self._row(query.after)
            if last not in found:
                raise BadQuery("token: its item is not in the results any more", remedy="begin the search again")
            first = found.index(last) + 1
        page, more = found[first : first + query.limit], first + query.limit < len(found)
        return Page([self._body(row) for row in page], len(found), self.names[page[-1]] if more else None)

    def _value(self, row: int, name: str) -> Any:
        part, index = self.places[row]
        return part.queryables[index].get(name)

    def get(self, collection: str, item_id: str) -> bytes | None:
        """One item's JSON; None when there is none."""
        row = self._row(f"{collection}/{item_id}")
        return None if row is None else self._body(row)

    def _body(self, row: int) -> bytes:
        part, index = self.places[row]
        return part.body(index)

    def _sieved(self, query: Query) -> npt.NDArray[np.intp]:
        """Rows by everything but the filter."""
        start, end = query.interval
        first, last, nominal = self.times_us.T
        # An item is found by its survey dates, and by the nominal date that clients read from it.
        keep = ((first <= end) & (last >= start)) | ((nominal >= start) & (nominal <= end))
        if query.area is not None:
            west, south, east, north = query.area.bounds
            box = self.bounds_deg
            keep &= (box[:, 0] <= east) & (box[:, 2] >= west) & (box[:, 1] <= north) & (box[:, 3] >= south)
        rows = np.flatnonzero(keep)
        if query.collections or query.ids:
            rows = np.intersect1d(rows, self._named(query), assume_unique=True)
        if query.area is not None and len(rows):
            shapely.prepare(query.area)
            rows = rows[shapely.intersects(query.area, self.geometries[rows])]
        return rows

    def _named(self, query: Query) -> npt.NDArray[np.intp]:
        """Rows of the collections and ids a query names."""
        spans = []
        for collection in sorted(query.collections or self.collections):
            first, last = bisect_left(self.names, f"{collection}/"), bisect_left(self.names, f"{collection}0")
            if query.ids:
                wanted = (f"{collection}/{item_id}" for item_id in query.ids)
                spans.append([row for name in wanted if (row := self._row(name)) is not None])
            else:
                spans.append(list(range(first, last)))
        return np.array([row for span in spans for row in span], dtype=np.intp)

    def _row(self, name: str) -> int | None:
        row = bisect_left(self.names, name)
        return row if row < len(self.names) and self.names[row] == name else None

    def _filtered(self, rows: Iterable[int], wanted: Filter) -> Iterator[int]:
        # Handing a document over costs most of an evaluation, so it contains only the members the filter uses.
        for row in rows:
            part, index = self.places[row]
            known = part.queryables[index]
            asked = {word: known[word] for word in wanted.words if word in known}
            if "geometry" in wanted.words:
                asked["geometry"] = orjson.loads(shapely.to_geojson(self.geometries[row]))
            if _matches(wanted.expression, asked):
                yield row


class ItemIndex:
    """The published items, kept up to date with the store.

    Args:
        store: The store that contains the catalogue.
        max_age_s: Age at which a snapshot is compared with the store.
        has_maps: A map service draws the published tiles; items link to it.
        clock: Seconds of a monotonic clock.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        max_age_s: float = 2.0,
        has_maps: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._has_maps = has_maps
        self._max_age_s = max_age_s
        self._clock = clock
        self._lock = threading.Lock()
        self._checked_s = -float("inf")
        self._etags: dict[str, str] = {}
        self._parts: dict[tuple[str, str], Part] = {}
        self._snapshot = Snapshot.of({}, ())

    def snapshot(self) -> Snapshot:
        """The snapshot, at most `max_age_s` old; while one thread updates it, others get the previous snapshot."""
        stale = self._clock() - self._checked_s >= self._max_age_s
        first = self._checked_s < 0
        if stale and self._lock.acquire(blocking=first):
            try:
                if self._clock() - self._checked_s >= self._max_age_s:
                    self._refresh()
                    self._checked_s = self._clock()
            finally:
                self._lock.release()
        return self._snapshot

    def _refresh(self) -> None:
        keys = {info.id: layout.collection_key(info.id) for info in COLLECTIONS}
        heads = {name: self._store.head(key) for name, key in keys.items()}
        etags = {name: head.etag for name, head in heads.items() if head is not None}
        if etags == self._etags:
            return
        documents: dict[str, Document] = {}
        parts: dict[tuple[str, str], Part] = {}
        for name in etags:
            try:
                documents[name] = orjson.loads(self._store.get(keys[name]))
            except KeyError:
                continue
            for block, summary in documents[name]["dem:blocks"].items():
                part = self._part(name, block, summary["index_sha256"])
                if part is not None:
                    parts[name, block] = part
        self._snapshot, self._parts, self._etags = Snapshot.of(documents, parts.values()), parts, etags

    def _part(self, collection: str, block: str, digest: str) -> Part | None:
        known = self._parts.get((collection, block))
        if known is not None and known.digest == digest:
            return known
        try:
            return read_part(self._store.get(layout.index_key(collection, block)), digest, has_maps=self._has_maps)
        except KeyError:
            return None


def read_part(data: bytes, digest: str, *, has_maps: bool = False) -> Part:
    """Read the items of an index file and prepare their JSON, with links to the map service if there is one."""
    items = decode_items(data)
    return Part(
        digest=digest,
        names=tuple(f"{item['collection']}/{item['id']}" for item in items),
        bounds_deg=np.array([item["bbox"] for item in items], dtype=np.float64).reshape(-1, 4),
        times_us=np.array([_times(item["properties"]) for item in items], dtype=np.int64).reshape(-1, 3),
        geometries=shapely.from_geojson([orjson.dumps(item["geometry"]).decode() for item in items]),
        bodies=tuple(orjson.dumps(_answer(item, has_maps=has_maps)) for item in items),
        properties=frozenset(name for item in items for name in item["properties"]),
    )


def _answer(item: Document, *, has_maps: bool) -> Document:
    """The item with placeholders for addresses in links and assets."""
    collection, item_id = item["collection"], item["id"]
    above = f"{API}/collections/{collection}"
    links = [
        {"rel": "self", "href": f"{above}/items/{item_id}", "type": ITEM_TYPE},
        {"rel": "root", "href": f"{API}/", "type": "application/json"},
        {"rel": "parent", "href": above, "type": "application/json"},
        {"rel": "collection", "href": above, "type": "application/json"},
        *(_addressed(link) for link in item["links"] if link["rel"] not in _REPLACED_LINKS),
        {"rel": "canonical", "href": f"{FILES}/{layout.item_key(collection, item_id)}", "type": ITEM_TYPE},
    ]
    assets = {name: _addressed(asset) for name, asset in item["assets"].items()}
    answer = {**item, "links": links, "assets": assets}
    return with_map_links(answer, MAPS, item["properties"].get("renders", {})) if has_maps else answer


def _addressed(member: Document) -> Document:
    href = member["href"]
    return member if "://" in href else {**member, "href": f"{FILES}/{href}"}


def _times(properties: Document) -> tuple[int, int, int]:
    """First and last survey date and the nominal date, microseconds."""
    nominal = properties["datetime"]
    first, last = (properties.get(name) or nominal for name in ("start_datetime", "end_datetime"))
    return tuple(microseconds(datetime.fromisoformat(moment)) for moment in (first, last, nominal))  # type: ignore[return-value]


def _rank(value: Any) -> tuple[int, Any]:
    """Sorts values of one property, whatever their kinds: numbers, then text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 2, str(value)
    return (1, value) if isinstance(value, str) else (0, value)


def _queryable(item: Document) -> Document:
    scalars = {name: v for name, v in item["properties"].items() if not isinstance(v, dict | list)}
    return {**scalars, "id": item["id"], "collection": item["collection"]}


def _matches(expression: cql2.Expr, queryable: Document) -> bool:
    try:
        return expression.matches(queryable)
    except Exception:  # noqa: BLE001 - cql2 raises a bare Exception where a property is absent: the answer is unknown
        return False
