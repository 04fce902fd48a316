"""JSON documents of the catalogue: encoding, reading, and change by compare-and-swap."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import CatalogueError, ObjectExists, PreconditionFailed

JSON_TYPE: Final = "application/json"
ITEM_TYPE: Final = "application/geo+json"
PARQUET_TYPE: Final = "application/vnd.apache.parquet"

SHA256_MULTIHASH: Final = "1220"
"""Prefix of a sha256 multihash: its code and its length."""

_SWAP_ATTEMPTS: Final = 20

Document = dict[str, Any]


def encode(document: Document) -> bytes:
    """Encode as indented JSON with keys in the given order, so that equal documents give equal bytes."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def encode_item(document: Document) -> bytes:
    """Encode an item without indentation: clients read items by the hundred, and indentation is 40 % of one."""
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def read(store: ObjectStore, key: str) -> Document:
    """Read a JSON object from the store.

    Raises:
        CatalogueError: it does not exist, or it is not a JSON object.
    """
    try:
        document = orjson.loads(store.get(key))
    except KeyError as error:
        raise CatalogueError(f"{key} is not in the store") from error
    except orjson.JSONDecodeError as error:
        raise CatalogueError(f"{key} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise CatalogueError(f"{key} contains a JSON {type(document).__name__}, expected an object")
    return document


def swap(
    store: ObjectStore, key: str, change: Callable[[bytes | None], bytes | None], media_type: str = JSON_TYPE
) -> bool:
    """Replace an object by `change(present bytes)`; retry when another writer was faster.

    `change` gets None where the object does not exist and returns None to leave the object unchanged. Returns whether
    the object was written.

    Raises:
        CatalogueError: other writers were faster at every attempt.
    """
    for _ in range(_SWAP_ATTEMPTS):
        info = store.head(key)
        try:
            present = None if info is None else store.get(key)
        except KeyError:
            continue
        wanted = change(present)
        if wanted is None or wanted == present:
            return False
        try:
            if info is None:
                store.put(key, wanted, if_absent=True, media_type=media_type)
            else:
                store.put(key, wanted, if_match=info.etag, media_type=media_type)
        except (ObjectExists, PreconditionFailed):
            continue
        return True
    raise CatalogueError(f"{key} was changed by others {_SWAP_ATTEMPTS} times in a row", remedy="run the command again")


def put_absent(store: ObjectStore, key: str, data: bytes, media_type: str = JSON_TYPE) -> bytes:
    """Store bytes under a key that is never rewritten, and return the stored bytes; existing bytes are kept."""
    try:
        store.put(key, data, if_absent=True, media_type=media_type)
    except ObjectExists:
        return store.get(key)
    return data


def pruned(value: Any) -> Any:
    """Remove members that are None, empty, or numbers that JSON cannot represent."""
    if isinstance(value, dict):
        kept = {key: pruned(member) for key, member in value.items()}
        return {key: member for key, member in kept.items() if member is not None and member not in ({}, [])}
    if isinstance(value, list | tuple):
        return [member for member in map(pruned, value) if member is not None]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def timestamp(moment: datetime | None = None) -> str:
    """RFC 3339 text in UTC, whole seconds; the current time when no moment is given."""
    moment = moment or datetime.now(UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
