"""Stored summary of a block, so that the publisher rewrites a collection without reading other blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orograph.stac.documents.json import Document


def summarise(items: Iterable[Document]) -> Document:
    """Summarise the items of one block: count, extents, and the values that a collection lists."""
    items = sorted(items, key=lambda item: item["id"])
    times = [t for item in items for t in _times(item["properties"])]
    links = [link for item in items for link in item["links"] if link["rel"] == "license"]
    return {
        "count": len(items),
        "bbox": union_bbox(item["bbox"] for item in items),
        "interval": [min(times), max(times)],
        "licences": distinct(item["properties"]["license"] for item in items),
        "licence_links": distinct({"href": link["href"], "title": link.get("title", "licence")} for link in links),
        "providers": distinct(p for item in items for p in item["properties"].get("providers", [])),
        "gsd": distinct(item["properties"]["gsd"] for item in items),
        "surfaces": distinct(item["properties"]["dem:surface"] for item in items),
        "frames": distinct(item["properties"]["dem:vertical_datum"] for item in items),
        "codes": distinct(item["properties"]["proj:code"] for item in items),
        "assets": {
            name: {part: asset[part] for part in ("title", "type", "roles") if part in asset}
            for item in items
            for name, asset in sorted(item["assets"].items())
        },
    }


def merged(summaries: Mapping[str, Document]) -> Document:
    """Merge the summaries of several blocks."""
    parts = [summaries[block] for block in sorted(summaries)]
    listed = ("licences", "licence_links", "gsd", "surfaces", "frames", "codes")
    return {
        "count": sum(part["count"] for part in parts),
        "bbox": union_bbox(part["bbox"] for part in parts),
        "interval": [min(part["interval"][0] for part in parts), max(part["interval"][1] for part in parts)],
        "providers": one_per_name(p for part in parts for p in part["providers"]),
        "assets": {name: asset for part in parts for name, asset in part["assets"].items()},
        **{name: distinct(value for part in parts for value in part[name]) for name in listed},
    }


def one_per_name(providers: Iterable[Document]) -> list[Document]:
    """Merge providers of the same name into one with all their roles."""
    found: dict[str, Document] = {}
    for provider in providers:
        known = found.setdefault(provider["name"], provider)
        roles = list(dict.fromkeys((*known.get("roles", ()), *provider.get("roles", ()))))
        found[provider["name"]] = {**provider, **known, "roles": roles}
    return list(found.values())


def union_bbox(boxes: Iterable[list[float]]) -> list[float]:
    """The smallest box around boxes (west, south, east, north)."""
    west, south, east, north = zip(*boxes, strict=True)
    return [min(west), min(south), max(east), max(north)]


def distinct(values: Iterable[Any]) -> list[Any]:
    """Distinct values, sorted; values that cannot be compared are sorted by their text."""
    unique = list({repr(value): value for value in values}.values())
    return sorted(unique, key=lambda value: value if isinstance(value, float) else str(value))


def _times(properties: Document) -> tuple[str, ...]:
    return tuple(properties[name] for name in ("start_datetime", "datetime", "end_datetime") if name in properties)
