"""SHA-256 of a file, cached until its size, time of change or inode changes."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Final, NamedTuple

from orograph.pipeline.errors import SourceChanged

_RECENT_S: Final = 2.0

_known: dict[_FileState, str] = {}


class _FileState(NamedTuple):
    """Return the state of a file; its change time (ctime) advances even if the modification time is set back."""

    path: str
    device: int
    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int


def file_sha256(path: str | Path) -> str:
    """Hexadecimal sha256 of a file; a file that did not change since is not read again.

    Raises:
        OSError: it cannot be read.
        SourceChanged: it was written while it was read.
    """
    before = _state(path)
    if before in _known:
        return _known[before]
    with Path(path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if _state(path) != before:
        raise SourceChanged("the file changed while it was read", source=str(path))
    # A file written a moment ago may be written again without its times moving on.
    if time.time() - max(before.modified_ns, before.changed_ns) / 1e9 > _RECENT_S:
        _known[before] = digest
    return digest


def _state(path: str | Path) -> _FileState:
    found = Path(path).stat()
    return _FileState(str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
