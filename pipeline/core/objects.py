"""Objects by key: the interface of a store that the catalogue needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Metadata of an object from a HEAD request."""

    key: str
    etag: str
    size_bytes: int
    write_id: str | None = None


class ObjectStore(Protocol):
    """Objects by relative, `/`-separated key.

    `get` and `download` raise KeyError for a key that does not exist; `put` raises `ObjectExists` and
    `PreconditionFailed` of the error tree.
    """

    def head(self, key: str) -> ObjectInfo | None:
        """Return the metadata of an object, None if it does not exist."""
        ...

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """The object's bytes, or those from `start` up to `end`."""
        ...

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Write the object to a local file."""
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
        """Store an object atomically; readers see the old or the new content."""
        ...

    def delete(self, key: str) -> None:
        """Delete an object; no-op if it does not exist."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with the prefix, sorted by key."""
        ...
