"""Identity of a local file without reading it: size, time of change and inode."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

from orograph.pipeline.core.hashing import file_sha256
from orograph.pipeline.errors import SourceChanged, SourceMissing
from orograph.pipeline.sources.refs import FileRef

_STAT: Final = "stat:"
_SHA256: Final = "sha256:"


class FileState(NamedTuple):
    """State of a local file in its file system; equal states mean equal content unless clocks were set back."""

    size_bytes: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileState:
        """The state in a stat result."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)

    @property
    def etag(self) -> str:
        """The state as an ETag: see `stat_etag`."""
        return stat_etag(self.size_bytes, self.modified_ns, self.inode)


def stat_etag(size_bytes: int, modified_ns: int, inode: int) -> str:
    """A file's state as an ETag: `stat:<size>-<nanoseconds, hex>-<inode, hex>`."""
    return f"{_STAT}{size_bytes}-{modified_ns:x}-{inode:x}"


def file_state(path: str | Path) -> FileState:
    """State of a local file.

    Raises:
        SourceMissing: the file does not exist.
    """
    try:
        return FileState.of(Path(path).stat())
    except OSError as error:
        raise SourceMissing(f"cannot be read: {error.strerror}", source=str(path)) from error


def local_ref(path: str | Path) -> FileRef:
    """Return a local file in its current state, identified without reading it.

    Raises:
        SourceMissing: the file does not exist.
    """
    state = file_state(path)
    return FileRef(href=str(path), etag=state.etag, size_bytes=state.size_bytes)


def check_local(file: FileRef, path: Path) -> None:
    """Check that a local file is still in the planned state; a `sha256:` ETag is compared with the content.

    Raises:
        SourceMissing: the file no longer exists.
        SourceChanged: it changed.
    """
    state = file_state(path)
    now = f"{_SHA256}{_hashed(path)}" if file.etag.startswith(_SHA256) else state.etag
    if now != file.etag:
        raise SourceChanged(
            f"the file is {now} now, it was planned as {file.etag}",
            source=file.href,
            remedy="plan again; where workers read their own copies, index the source with --sha256",
        )


def _hashed(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise SourceMissing(f"cannot be read: {error.strerror}", source=str(path)) from error
