"""Publishing: one atomic step per item, and a publisher whose cost is proportional to the changes.

A worker calls `publish_item` when its tile is committed; it writes only keys of that tile. One publisher calls
`rebuild` at intervals: it reads the workers' notes and rewrites their blocks, the collection and
the root. A block contains at most 100 tiles and Europe has some 140 blocks, so that the cost of both does not depend on
the number of items.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import CatalogueError
from orograph.pipeline.manifest import Manifest
from orograph.pipeline.sources.catalogue import Source
from orograph.stac.documents import layout
from orograph.stac.documents.collections import CollectionInfo, collections_of
from orograph.stac.documents.dem_profile import contributing
from orograph.stac.documents.items import item_from_manifest
from orograph.stac.documents.json import (
    ITEM_TYPE,
    SHA256_MULTIHASH,
    Document,
    encode,
    encode_item,
    put_absent,
    swap,
    timestamp,
)
from orograph.stac.publishing.change_notes import leave_note
from orograph.stac.publishing.epoch import epoch_of
from orograph.stac.publishing.rebuild import rebuild, source_collection

__all__ = ["present_run_key", "publish_item", "rebuild"]


def publish_item(store: ObjectStore, manifest: Manifest, *, now: str | None = None) -> str:
    """Make a committed manifest the current state of its tile: write its items, swap the stable keys.

    Publishing the current state again has no effect; publishing an earlier manifest again is a rollback.

    Args:
        store: Store that contains the assets.
        manifest: The record of a finished tile or cell; its assets and manifest are in the store.
        now: The time to record, RFC 3339 in UTC.

    Returns:
        Key of the tile's item (of the first one, if a cell has items in several collections).

    Raises:
        CatalogueError: the manifest is not in the store or has no asset for any collection.
        BadIdentifier: the manifest's tile is neither a tile nor a cell.
    """
    collections = collections_of(manifest)
    if not collections:
        raise CatalogueError("the manifest has no asset any collection shows", tile=manifest.tile)
    shown = [(info, item_id) for info in collections for item_id in info.items_of(manifest)]
    keys = [layout.item_key(info.id, item_id) for info, item_id in shown]
    # The item is the last thing written, so where it shows this version everything else is there: one request.
    if all(_is_shown(store, info, item_id, manifest) for info, item_id in shown):
        return keys[0]
    if store.head(manifest.manifest_key) is None:
        raise CatalogueError(f"{manifest.manifest_key} is not in the store", tile=manifest.tile, remedy="commit first")
    for ref in contributing(manifest):
        _describe_source(store, ref.source)
    moment = now or timestamp()
    for info, item_id in shown:
        _publish_in(store, info, item_id, manifest, moment)
    return keys[0]


def present_run_key(store: ObjectStore, collection: str, item_id: str) -> str | None:
    """Run key of a tile's published item; None if it is not published."""
    try:
        item = orjson.loads(store.get(layout.item_key(collection, item_id)))
    except KeyError:
        return None
    run_key: str | None = item["properties"].get("dem:run_key")
    return run_key


def _describe_source(store: ObjectStore, source: Source) -> None:
    wanted = encode(source_collection(source))
    swap(store, layout.source_key(source.id), lambda _: wanted)


def _is_shown(store: ObjectStore, info: CollectionInfo, item_id: str, manifest: Manifest) -> bool:
    stable = layout.item_key(info.id, item_id)
    try:
        present = orjson.loads(store.get(stable))
    except KeyError:
        return False
    return _version_of(present, stable) == layout.version_key(info.id, manifest.asset_prefix, item_id)


def _publish_in(store: ObjectStore, info: CollectionInfo, item_id: str, manifest: Manifest, moment: str) -> None:
    stable = layout.item_key(info.id, item_id)
    version = layout.version_key(info.id, manifest.asset_prefix, item_id)
    first = _first_version(store, info, item_id, manifest, moment)

    def repoint(present: bytes | None) -> bytes | None:
        if present is not None and _version_of(orjson.loads(present), stable) == version:
            return None
        wanted = encode_item(_stable_item(first, version, stable, moment))
        leave_note(store, info.id, item_id, present, wanted)
        return wanted

    swap(store, stable, repoint, ITEM_TYPE)


def _first_version(store: ObjectStore, info: CollectionInfo, item_id: str, manifest: Manifest, moment: str) -> Document:
    """The immutable item next to the assets; its predecessor is the item that was published when it was written."""
    key = layout.version_key(info.id, manifest.asset_prefix, item_id)
    try:
        present = store.get(key)
    except KeyError:
        item = item_from_manifest(
            manifest,
            asset_href=lambda target: layout.relative(key, target),
            created=moment,
            predecessor=_present_version(store, info.id, item_id, manifest),
            collection=info,
            item_id=item_id,
            nominal=epoch_of(store, moment),
        )
        item["id"] = f"{item_id}-{manifest.run_key[:12]}"
        stable = layout.item_key(info.id, item_id)
        item["links"] = [
            *item["links"],
            {
                "rel": "latest-version",
                "href": layout.relative(key, stable),
                "type": ITEM_TYPE,
                "title": "Latest version",
            },
        ]
        record = manifest.to_json()
        item["assets"]["manifest"] = {
            "href": layout.relative(key, manifest.manifest_key),
            "title": "Record of the run",
            "type": "application/json",
            "roles": ["metadata"],
            "file:size": len(record),
            "file:checksum": SHA256_MULTIHASH + hashlib.sha256(record).hexdigest(),
        }
        present = put_absent(store, key, encode_item(item), ITEM_TYPE)
    document: Document = orjson.loads(present)
    return document


def _present_version(store: ObjectStore, collection: str, item_id: str, manifest: Manifest) -> str | None:
    """Key of the version that is published now; None where it is of the same run or there is none."""
    stable = layout.item_key(collection, item_id)
    try:
        present = orjson.loads(store.get(stable))
    except KeyError:
        return None
    return None if _run_key(present) == manifest.run_key else _version_of(present, stable)


def _version_of(item: Document, stable: str) -> str | None:
    """Key of the immutable copy of a published item, next to its assets."""
    hrefs = (link["href"] for link in item["links"] if link["rel"] == "alternate")
    return next((layout.resolve(stable, href) for href in hrefs), None)


def _stable_item(first: Document, version_key: str, stable: str, moment: str) -> Document:
    """The first version's item as it reads from the stable key."""

    def moved(link: Document) -> Document:
        target = layout.resolve(version_key, link["href"])
        return link if target is None else {**link, "href": layout.relative(stable, target)}

    item_id, collection = stable.rsplit("/", 2)[1], first["collection"]
    parent = layout.block_key(collection, layout.block_of(item_id))
    links: list[Document] = [
        {"rel": "parent", "href": layout.relative(stable, parent), "type": "application/json", "title": "Block"},
        {"rel": "alternate", "href": layout.relative(stable, version_key), "type": ITEM_TYPE, "title": "This version"},
    ]
    kept = [moved(link) for link in first["links"] if link["rel"] != "latest-version"]
    assets: dict[str, Any] = {name: moved(asset) for name, asset in first["assets"].items()}
    properties = {**first["properties"], "updated": moment}
    return {**first, "id": item_id, "properties": properties, "links": [*kept[:2], *links, *kept[2:]], "assets": assets}


def _run_key(item: Document) -> str | None:
    run_key: str | None = item["properties"].get("dem:run_key")
    return run_key
