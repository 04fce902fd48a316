"""Objects in a folder or a bucket: the one interface all products pass through.

Keys are relative, `/`-separated and never start with `/` nor hold `..`; values are immutable but for the few published
pointers, which are swapped by ETag.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
