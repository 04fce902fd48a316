"""Objects in a folder or a bucket: the one interface all products pass through.

Keys are relative, `/`-separated and never start with `/` nor hold `..`; values are immutable but for the few published
pointers, which are swapped by ETag.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from orograph.pipeline.errors import BadIdentifier

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_@+=~-][A-Za-z0-9_@+=~.-]{0,199}", re.ASCII)
_MAX_KEY: Final = 900
_CHUNK: Final = 8 * 2**20


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a HEAD tells of an object."""

    key: str
    etag: str
    size_bytes: int
    write_id: str | None = None


class Store(Protocol):
    """Objects by key. Implementations: `LocalStore`, `S3Store`, and the fault-injecting twin of the tests.

    `data` is bytes or the path of a local file. Errors are `StoreError` and `StoreUnavailable` of the error tree.
    """

    url: str

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of an object, None when there is none."""
        ...

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """The object's bytes, or those from `start` up to `end`; KeyError when there is none."""
        ...

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Write the object to a local file; KeyError when there is none."""
        ...

    def put(
        self,
        key: str,
        data: bytes | Path,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        media_type: str = "application/octet-stream",
    ) -> ObjectInfo:
        """Keep an object in one visible step.

        Raises:
            ObjectExists: `if_absent` and there is one that this very call did not write.
            PreconditionFailed: `if_match` and the object's ETag is another.
        """
        ...

    def delete(self, key: str) -> None:
        """Forget an object; nothing happens when there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with the prefix, sorted by key."""
        ...


def check_key(key: str) -> str:
    """The key, if it is one: ASCII segments parted by `/`, none empty, hidden or `..`.

    Raises:
        BadIdentifier: anything else; the text is cut to 80 characters in the message.
    """
    if len(key) > _MAX_KEY or not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise BadIdentifier(f"not an object key: {key[:80]!r}")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix, if it can begin a key; it may be empty, end in `/` or in half a segment."""
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
