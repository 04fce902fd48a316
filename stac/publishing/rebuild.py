"""The publisher: rewrites the blocks in which something changed, their collections, and the root."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.sources.catalogue import Source
from orograph.stac.documents import layout
from orograph.stac.documents.collections import COLLECTIONS, CollectionInfo
from orograph.stac.documents.dem_profile import PROFILE_PATH, PROFILE_URI, profile_schema
from orograph.stac.documents.index import decode_items, encode_items, with_keys
from orograph.stac.documents.items import merged_licence
from orograph.stac.documents.json import ITEM_TYPE, JSON_TYPE, PARQUET_TYPE, Document, encode, swap, timestamp
from orograph.stac.documents.summary import merged, summarise
from orograph.stac.publishing.change_notes import Note, read_notes

_STAC: Final = {"stac_version": "1.1.0"}
_SOURCES_KEY: Final = f"{layout.ROOT}/sources/catalog.json"


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """Report of one publishing pass.

    Attributes:
        blocks: Number of blocks checked.
        items_read: Number of items read from the store.
        items_removed: Number of items in the index that are no longer in the store.
        documents_written: Number of objects written.
        notes_left: Number of notes whose item is not written yet.
    """

    blocks: int
    items_read: int
    items_removed: int
    documents_written: int
    notes_left: int


def rebuild(store: ObjectStore, *, public_url: str | None = None, full: bool = False) -> RebuildReport:
    """Update sub-catalogues, collections, root and index to the published items.

    Reads the workers' notes and the items they name, and nothing else, so that the cost does not depend
    on the number of items in the catalogue. Several publishers at once are safe: each swaps by ETag.

    Args:
        store: The store that contains the items.
        public_url: Address under which the store's keys are found, for the references in the index.
        full: List and read every item instead, as after copying a store or changing `public_url`.
    """
    notes = read_notes(store)
    work = _all_items(store) if full else _noted(notes)
    digests: dict[tuple[str, str], str] = {}
    summaries: dict[str, dict[str, Document | None]] = defaultdict(dict)
    written = removed = 0
    for (collection, block), item_ids in sorted(work.items()):
        change: dict[str, Document | None] = {}
        for item_id in sorted(item_ids):
            change[item_id], digest = _read_item(store, collection, item_id, public_url)
            removed += digest is None
            if digest is not None:
                digests[collection, item_id] = digest
        rows, index, swapped = _write_index(store, collection, block, change, replace=full)
        summaries[collection][block] = {**summarise(rows), "index_sha256": index} if rows else None
        written += swapped + _write_block(store, collection, block, rows)
    for info in COLLECTIONS:
        if info.id in summaries:
            written += _write_collection(store, info, summaries[info.id])
    written += _write_sources(store) + _write_root(store)
    now = datetime.now(UTC)
    done = [note for note in notes if note.may_go(digests.get((note.collection, note.item_id)), now)]
    for note in done:
        store.delete(note.key)
    return RebuildReport(
        blocks=len(work),
        items_read=len(digests),
        items_removed=removed,
        documents_written=written,
        notes_left=len(notes) - len(done),
    )


def source_collection(source: Source) -> Document:
    """The STAC collection that describes a source dataset; it has no items."""
    key = layout.source_key(source.id)
    interval = [None if moment is None else timestamp(moment) for moment in (source.start, source.end)]
    licence_links = [{"rel": "license", "href": source.licence_url, "title": source.licence}]
    return {
        "type": "Collection",
        **_STAC,
        "id": source.id,
        "title": source.title,
        "description": source.attribution or source.title,
        "license": merged_licence([source]),
        "providers": [provider.model_dump(mode="json", exclude_none=True) for provider in source.providers],
        "extent": {"spatial": {"bbox": [list(source.area_deg)]}, "temporal": {"interval": [interval]}},
        "summaries": {
            "gsd": [source.resolution_m],
            "proj:code": [source.horizontal_crs],
            "surface": [source.surface.value],
            "vertical_datum": [source.vertical_frame],
        },
        "links": [
            _link("root", key, layout.ROOT_KEY),
            _link("parent", key, _SOURCES_KEY),
            *(licence_links if source.licence_url else []),
        ],
    }


def _noted(notes: Iterable[Note]) -> dict[tuple[str, str], set[str]]:
    work: dict[tuple[str, str], set[str]] = defaultdict(set)
    for note in notes:
        work[note.collection, note.block].add(note.item_id)
    return work


def _all_items(store: ObjectStore) -> dict[tuple[str, str], set[str]]:
    """Every item of the store by block; blocks that only the collections know are there too, empty."""
    work: dict[tuple[str, str], set[str]] = defaultdict(set)
    for collection in COLLECTIONS:
        for block in _known_blocks(_present(store, layout.collection_key(collection.id))):
            work[collection.id, block] = set()
        for info in store.list(f"{layout.ROOT}/{collection.id}/"):
            parts = info.key.split("/")
            if len(parts) == 5 and parts[4] == f"{parts[3]}.json":
                work[collection.id, parts[2]].add(parts[3])
    return work


def _read_item(
    store: ObjectStore, collection: str, item_id: str, public_url: str | None
) -> tuple[Document | None, str | None]:
    """The item with absolute references and the sha256 of its bytes; None and None where it is not."""
    key = layout.item_key(collection, item_id)
    try:
        data = store.get(key)
    except KeyError:
        return None, None
    return with_keys(orjson.loads(data), key, public_url), hashlib.sha256(data).hexdigest()


def _write_index(
    store: ObjectStore, collection: str, block: str, change: Mapping[str, Document | None], *, replace: bool
) -> tuple[list[Document], str, bool]:
    """Merge items into a block's index; its rows now, its sha256, and whether it was written."""
    rows: list[Document] = []
    digest: list[str] = []

    def merge(present: bytes | None) -> bytes | None:
        kept: dict[str, Document | None] = {}
        if present is not None and not replace:
            kept = {item["id"]: item for item in decode_items(present)}
        kept = {**kept, **change}
        rows[:] = [item for _, item in sorted(kept.items()) if item is not None]
        data = encode_items(rows) if rows else b""
        digest[:] = [hashlib.sha256(data).hexdigest()]
        return data or None

    key = layout.index_key(collection, block)
    swapped = swap(store, key, merge, PARQUET_TYPE)
    if not rows:
        store.delete(key)
    return rows, digest[0], swapped


def _write_block(store: ObjectStore, collection: str, block: str, rows: Iterable[Document]) -> bool:
    key = layout.block_key(collection, block)
    rows = list(rows)
    if not rows:
        store.delete(key)
        return False
    items = [
        _link("item", key, layout.item_key(collection, row["id"]), row["properties"].get("title"), ITEM_TYPE)
        for row in rows
    ]
    document = {
        "type": "Catalog",
        **_STAC,
        "id": f"{collection}-{block}",
        "title": f"{block}, {_counted(len(rows))}",
        "description": f"Items of the collection {collection} in the block {block}.",
        "links": [
            _link("root", key, layout.ROOT_KEY),
            _link("parent", key, layout.collection_key(collection)),
            *items,
        ],
    }
    return _replace(store, key, document)


def _write_collection(store: ObjectStore, info: CollectionInfo, changed: Mapping[str, Document | None]) -> bool:
    key = layout.collection_key(info.id)

    blocks: dict[str, Document] = {}

    def change(present: bytes | None) -> bytes | None:
        known = _known_blocks(None if present is None else orjson.loads(present))
        blocks.clear()
        blocks.update((name, one) for name, one in sorted({**known, **changed}.items()) if one is not None)
        return encode(_collection(info, key, blocks)) if blocks else None

    swapped = swap(store, key, change)
    if not blocks:
        store.delete(key)
    return swapped


def _collection(info: CollectionInfo, key: str, blocks: Mapping[str, Document]) -> Document:
    together = merged(blocks)
    licences = together["licences"]
    return {
        "type": "Collection",
        **_STAC,
        "stac_extensions": [PROFILE_URI],
        "id": info.id,
        "title": info.title,
        "description": info.description,
        "keywords": list(info.keywords),
        "license": licences[0] if len(licences) == 1 else "other",
        "providers": together["providers"],
        "extent": {
            "spatial": {"bbox": [together["bbox"]]},
            "temporal": {"interval": [together["interval"]]},
        },
        "summaries": {
            "gsd": together["gsd"],
            "proj:code": together["codes"],
            "dem:surface": together["surfaces"],
            "dem:vertical_datum": together["frames"],
        },
        "item_assets": together["assets"],
        "links": [
            _link("root", key, layout.ROOT_KEY),
            _link("parent", key, layout.ROOT_KEY),
            *({"rel": "license", **link} for link in together["licence_links"]),
            *(
                _link("child", key, layout.block_key(info.id, block), f"{block}, {_counted(summary['count'])}")
                for block, summary in blocks.items()
            ),
        ],
        "assets": {
            f"items_{block}": {
                "href": layout.relative(key, layout.index_key(info.id, block)),
                "title": f"Index of {block}",
                "type": PARQUET_TYPE,
                "roles": ["stac-items"],
            }
            for block in blocks
        },
        "dem:blocks": dict(blocks),
    }


def _write_sources(store: ObjectStore) -> bool:
    keys = [i.key for i in store.list(f"{layout.ROOT}/sources/") if i.key.endswith("/collection.json")]
    if not keys:
        return False
    links = [_link("child", _SOURCES_KEY, key, key.split("/")[2]) for key in keys]
    document = {
        "type": "Catalog",
        **_STAC,
        "id": "sources",
        "title": "Sources",
        "description": "The datasets the tiles are made of.",
        "links": [
            _link("root", _SOURCES_KEY, layout.ROOT_KEY),
            _link("parent", _SOURCES_KEY, layout.ROOT_KEY),
            *links,
        ],
    }
    return _replace(store, _SOURCES_KEY, document)


def _write_root(store: ObjectStore) -> bool:
    schema_key = layout.schema_key(PROFILE_PATH)
    wrote_schema = _replace(store, schema_key, profile_schema())
    children = [(layout.collection_key(info.id), info.title) for info in COLLECTIONS]
    children.append((_SOURCES_KEY, "Sources"))
    key = layout.ROOT_KEY
    document = {
        "type": "Catalog",
        **_STAC,
        "id": "orograph",
        "title": "Orograph: European terrain model",
        "description": (
            "One seamless, vertically harmonised terrain model from open elevation data, tile by tile, with the record "
            "of how each was made."
        ),
        "links": [
            _link("root", key, layout.ROOT_KEY),
            _link("describedby", key, schema_key, "JSON schema of the dem: fields", "application/schema+json"),
            *(_link("child", key, child, title) for child, title in children if store.head(child) is not None),
        ],
    }
    return _replace(store, key, document) + wrote_schema > 0


def _replace(store: ObjectStore, key: str, document: Document) -> bool:
    wanted = encode(document)
    return swap(store, key, lambda _: wanted)


def _link(rel: str, key: str, target: str, title: str | None = None, media_type: str = JSON_TYPE) -> Document:
    link = {"rel": rel, "href": layout.relative(key, target), "type": media_type}
    return link if title is None else {**link, "title": title}


def _counted(count: int) -> str:
    return f"{count} item" if count == 1 else f"{count} items"


def _present(store: ObjectStore, key: str) -> Document | None:
    try:
        document: Document = orjson.loads(store.get(key))
    except KeyError:
        return None
    return document


def _known_blocks(collection: Document | None) -> dict[str, Document | None]:
    return {} if collection is None else dict(collection.get("dem:blocks", {}))
