"""The node's cache of source bytes: shared by its workers, bounded, keyed by href, ETag and range.

Each range is one file with a checksum, created by rename, so that readers need no lock and old files may be removed
at any time. GDAL never reads the cache directly: workers copy ranges to their own scratch folder, so that an
eviction cannot turn a block into zeros.

A worker that fetches a range locks these bytes of the object (an open-file-description lock, which the kernel drops
when the process ends): a second worker waits and then finds them in the cache, while others fetch other ranges of the
object.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import struct
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from orograph.pipeline.sources.refs import FileRef

_LOG = logging.getLogger(__name__)
_CRC_BYTES: Final = 4
_SWEEP_SHARE: Final = 0.05
"""Added bytes after which a process measures the whole cache; each process may exceed the limit by as much."""
_KEEP_SHARE: Final = 0.85
_LOCK_FILES: Final = 256
_STALE_TEMPORARY_S: Final = 3600.0


class NodeCache:
    """Ranges and whole files of source objects below a folder.

    Args:
        folder: Folder shared by the workers of this machine and user.
        max_bytes: Largest size of all entries; larger objects are not cached.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._added = 0
        self._works = True

    def get(self, file: FileRef, start: int, end: int) -> bytes | None:
        """The bytes of a range; None if they are not in the cache."""
        path = self._path(file, f"{start}-{end}")
        try:
            content = path.read_bytes()
        except OSError:
            return None
        data, crc = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
        if len(data) != end - start or crc != _crc(data):
            path.unlink(missing_ok=True)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return data

    def put(self, file: FileRef, start: int, data: bytes) -> None:
        """Cache a range; errors of a full or read-only disk are ignored."""
        if self._works and len(data) <= self.max_bytes // 4:
            path = self._path(file, f"{start}-{start + len(data)}")
            self._keep(path, lambda temporary: temporary.write_bytes(data + _crc(data)))
            self._grow(len(data))

    def whole(self, file: FileRef, place: Path, make: Callable[[Path], None]) -> bool:
        """Put a whole object at `place`, fetched once per node; return whether it was cached.

        Hard links keep the worker's copy when the entry is evicted.
        """
        if not self._works or file.size_bytes > self.max_bytes // 2:
            make(place)
            return False
        path = self._path(file, "whole")
        with self.locked(file, 0, max(file.size_bytes, 1)):
            if _given(path, place, file.size_bytes):
                return True
            make(place)
            self._keep(path, lambda temporary: _link_or_copy(place, temporary))
            self._grow(file.size_bytes)
        return False

    @contextmanager
    def locked(self, file: FileRef, start: int, end: int) -> Iterator[None]:
        """Lock these bytes of an object against other workers and threads of the node; one lock per thread."""
        try:
            folder = self._made(self.folder / "locks")
            number = int(_object_id(file)[:8], 16) % _LOCK_FILES
            lock = os.open(folder / f"{number:02x}", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self._give_up(error)
            yield
            return
        try:
            _lock_bytes(lock, start, end - start)
            yield
        finally:
            os.close(lock)

    def sweep(self) -> int:
        """Remove the oldest entries above the limit; return the remaining bytes."""
        entries: list[tuple[float, int, str]] = []
        for folder, _, names in os.walk(self.folder):
            if folder.endswith("locks"):
                continue
            for name in names:
                with contextlib.suppress(OSError):
                    found = os.stat(path := os.path.join(folder, name))  # noqa: PTH116, PTH118 - a hundred thousand of them
                    if name.startswith(".") and time.time() - found.st_mtime > _STALE_TEMPORARY_S:
                        os.unlink(path)  # noqa: PTH108
                        continue
                    entries.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in entries)
        if total <= self.max_bytes:
            return total
        for _, size, path in sorted(entries):
            if total <= self.max_bytes * _KEEP_SHARE:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
                total -= size
        return total

    def _grow(self, count: int) -> None:
        self._added += count
        if self._added > self.max_bytes * _SWEEP_SHARE:
            self._added = 0
            self.sweep()

    def _path(self, file: FileRef, name: str) -> Path:
        identity = _object_id(file)
        return self.folder / identity[:2] / identity / name

    def _made(self, folder: Path) -> Path:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _keep(self, path: Path, write: Callable[[Path], object]) -> None:
        temporary = path.with_name(f".{uuid.uuid4().hex}")
        try:
            self._made(path.parent)
            write(temporary)
            temporary.replace(path)
        except OSError as error:
            self._give_up(error)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _give_up(self, error: OSError) -> None:
        if self._works:
            _LOG.warning(
                "the cache of source files at %s cannot be written: %s; going on without it", self.folder, error
            )
        self._works = False


def _object_id(file: FileRef) -> str:
    return hashlib.sha256(f"{file.href}\n{file.etag}\n{file.size_bytes}".encode()).hexdigest()[:40]


def _crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CRC_BYTES, "little")


def _given(path: Path, place: Path, size: int) -> bool:
    try:
        if path.stat().st_size != size:
            return False
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        _link_or_copy(path, place)
        os.utime(path)
    except OSError:
        return False
    return True


def _link_or_copy(path: Path, place: Path) -> None:
    import shutil

    try:
        os.link(path, place)
    except OSError:
        shutil.copyfile(path, place)


def _lock_bytes(lock: int, start: int, count: int) -> None:
    """Lock a byte range for this open file; the whole file where the system has no such locks."""
    import fcntl  # Unix only

    command = getattr(fcntl, "F_OFD_SETLKW", None)
    if command is None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return
    fcntl.fcntl(lock, command, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, count, 0))
