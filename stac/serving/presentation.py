"""The sort and fields extensions of the STAC API: order of the items, and their members in the response."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from orograph.stac.documents.json import Document
from orograph.stac.serving.bad_query import BadQuery

_NAME: Final = re.compile(r"[\w:.-]{1,100}")
_NAMES_MAX: Final = 100
_SORT_MAX: Final = 10
_ALWAYS: Final = ("type", "id", "collection")


@dataclass(frozen=True, slots=True)
class SortKey:
    """A property to sort by.

    Attributes:
        name: Name of the property without `properties.`, or `id`, `collection`.
        descending: Greatest value first. Items without the property come last either way.
    """

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """Members of items to return, as dotted paths.

    Attributes:
        include: Only these, with `type`, `id` and `collection`; empty for all.
        exclude: All except these; has priority over `include` where its path is longer.
    """

    include: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()

    def of(self, body: bytes) -> bytes:
        """Return an item's JSON with the requested members."""
        item = orjson.loads(body)
        kept: Document = _copied(item) if not self.include else {n: item[n] for n in _ALWAYS if n in item}
        for path in sorted(self.include - self.exclude):
            _copy_member(item, kept, path)
        for path in sorted(self.exclude - set(_ALWAYS)):
            _drop_member(kept, path)
        return orjson.dumps(kept)


def parse_sort(value: Any) -> tuple[SortKey, ...]:
    """Parse the `sortby` member of a search body.

    Raises:
        BadQuery: it is not a list of fields and directions.
    """
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _SORT_MAX:
        raise BadQuery(f"sortby must be a list of at most {_SORT_MAX} objects")
    return tuple(_sort_key(member) for member in value)


def sort_member(text: str) -> Document:
    """Convert one `sortby` parameter, such as `-properties.gsd`, to a member of a search body."""
    # A plus sign in a query is decoded as a blank.
    sign, name = (text[0], text[1:]) if text[:1] in {"+", "-", " "} else ("+", text)
    return {"field": name, "direction": "desc" if sign == "-" else "asc"}


def _sort_key(member: Any) -> SortKey:
    if not isinstance(member, dict) or member.get("direction", "asc") not in {"asc", "desc"}:
        raise BadQuery('sortby must contain objects such as {"field": "datetime", "direction": "asc"}')
    name = member.get("field")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadQuery("sortby: a field is not the name of a property")
    return SortKey(name.removeprefix("properties."), member.get("direction") == "desc")


def parse_fields(value: Any) -> Fields | None:
    """Parse the `fields` member of a search body.

    Raises:
        BadQuery: it is not an object of two lists of names.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) - {"include", "exclude"}:
        raise BadQuery("fields must be an object with include, exclude or both")
    return Fields(*(_field_names(value.get(name)) for name in ("include", "exclude")))


def fields_member(texts: Iterable[str]) -> Document:
    """Convert a `fields` parameter, such as `id,properties.gsd,-links`, to a member of a search body."""
    found: dict[str, list[str]] = {"include": [], "exclude": []}
    for text in texts:
        found["exclude" if text.startswith("-") else "include"].append(text.lstrip("+- "))
    return found


def _field_names(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, list) or len(value) > _NAMES_MAX:
        raise BadQuery(f"fields must be lists of at most {_NAMES_MAX} names")
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
        raise BadQuery("fields: a member is not a dotted name")
    return frozenset(value)


def _copied(value: Any) -> Any:
    return {name: _copied(member) for name, member in value.items()} if isinstance(value, dict) else value


def _copy_member(item: Mapping[str, Any], kept: Document, path: str) -> None:
    """Copy `a.b.c` where the item has it; names of properties may contain dots themselves."""
    if path in item:
        kept[path] = _copied(item[path])
        return
    first, _, rest = path.partition(".")
    if rest and isinstance(item.get(first), dict):
        _copy_member(item[first], kept.setdefault(first, {}), rest)


def _drop_member(kept: Document, path: str) -> None:
    if path in kept:
        del kept[path]
        return
    first, _, rest = path.partition(".")
    if rest and isinstance(kept.get(first), dict):
        _drop_member(kept[first], rest)
