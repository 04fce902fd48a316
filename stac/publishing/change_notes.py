"""Notes that workers leave for the publisher: which item changed and which bytes are being replaced.

A note is written before its item and records which bytes it will replace. While the item's key still has these bytes,
the worker may be about to write, and the note stays. Once the key has other bytes, they are in the index: the worker
has written, or its swap will fail and it leaves another note. A note so old that its worker must be dead is removed
anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import BadIdentifier
from orograph.stac.documents.json import encode, timestamp
from orograph.stac.documents.layout import block_of, pending_prefix

_KEY: Final = re.compile(
    rf"{pending_prefix()}(?P<collection>[^/]+)/[^/]+/(?P<item>[A-Za-z0-9_]+)\.[0-9a-f]{{32}}", re.ASCII
)

WORKER_TIMEOUT: Final = timedelta(hours=1)
"""A worker that has not written its item this long after its note is taken for dead."""


@dataclass(frozen=True, slots=True)
class Note:
    """An item that changed or is about to change."""

    key: str
    collection: str
    block: str
    item_id: str
    replaces: str | None
    written: datetime

    def may_go(self, digest: str | None, now: datetime) -> bool:
        """Whether the note may be removed, given the sha256 of the item in the index."""
        return digest != self.replaces or now - self.written > WORKER_TIMEOUT


def leave_note(store: ObjectStore, collection: str, item_id: str, present: bytes | None, wanted: bytes) -> None:
    """Write a note that the bytes of an item are about to be replaced."""
    replaces = None if present is None else hashlib.sha256(present).hexdigest()
    key = f"{pending_prefix(collection)}{block_of(item_id)}/{item_id}.{hashlib.sha256(wanted).hexdigest()[:32]}"
    document = {"item": item_id, "collection": collection, "replaces": replaces, "written": timestamp()}
    store.put(key, encode(document), media_type="application/json")


def read_notes(store: ObjectStore) -> list[Note]:
    """All notes, by collection and block; objects with other keys are ignored."""
    notes = []
    for info in store.list(pending_prefix()):
        found = _KEY.fullmatch(info.key)
        if found is None:
            continue
        with contextlib.suppress(KeyError, BadIdentifier):
            notes.append(_note(info.key, found["collection"], found["item"], store.get(info.key)))
    return notes


def noted_items(store: ObjectStore, collection: str) -> frozenset[str]:
    """Ids of a collection's items that have notes; one listing, no note is read."""
    found = (_KEY.fullmatch(info.key) for info in store.list(pending_prefix(collection)))
    return frozenset(match["item"] for match in found if match is not None)


def _note(key: str, collection: str, item_id: str, data: bytes) -> Note:
    """Parse the note of a key; the key names the item even where the text is damaged."""
    replaces, written = None, datetime.min.replace(tzinfo=UTC)
    with contextlib.suppress(KeyError, TypeError, ValueError):
        document = orjson.loads(data)
        written, replaces = datetime.fromisoformat(document["written"]).astimezone(UTC), document["replaces"]
    return Note(key, collection, block_of(item_id), item_id, replaces, written)
