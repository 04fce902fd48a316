"""Objects in a folder or a bucket: the interface for all products.

Keys are relative, `/`-separated, never start with `/` and never contain `..`; values are immutable except the few
published pointers, which are swapped by ETag.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Final, Protocol

from orograph.pipeline.core.objects import ObjectStore
from orograph.pipeline.errors import BadIdentifier

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_@+=~-][A-Za-z0-9_@+=~.-]{0,199}", re.ASCII)
_MAX_KEY: Final = 900
_CHUNK: Final = 8 * 2**20


class Store(ObjectStore, Protocol):
    """A store with an address. Implementations: `LocalStore`, `S3Store`, and the fault-injecting store of the tests.

    `data` is bytes or the path of a local file. Errors are `StoreError` and `StoreUnavailable` of the error tree.
    """

    url: str


def check_key(key: str) -> str:
    """Return a valid key unchanged: ASCII segments separated by `/`, none empty, hidden or `..`.

    Raises:
        BadIdentifier: the text is not a key; the message shows its first 80 characters.
    """
    if len(key) > _MAX_KEY or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise BadIdentifier(f"not an object key: {key[:80]!r}")
    return key


def check_prefix(prefix: str) -> str:
    """Return a valid prefix of keys unchanged; it may be empty, or end in `/` or within a segment."""
    if prefix:
        check_key(prefix.removesuffix("/"))
    return prefix


def sha256_of(data: bytes | Path) -> str:
    """Hexadecimal sha256 of bytes or of a local file, read in blocks."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    with data.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_object(store: Store, key: str) -> tuple[str, int]:
    """Hexadecimal sha256 and size of a stored object, read in ranges of 8 MiB; KeyError when there is none."""
    info = store.head(key)
    if info is None:
        raise KeyError(key)
    digest = hashlib.sha256()
    for start in range(0, info.size_bytes, _CHUNK):
        digest.update(store.get(key, start=start, end=min(start + _CHUNK, info.size_bytes)))
    return digest.hexdigest(), info.size_bytes
