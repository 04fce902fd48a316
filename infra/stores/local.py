"""A folder as a store: every object appears atomically.

An object is written to a hidden temporary file on the same filesystem, synchronised, then linked (put-if-absent) or
renamed (replace) into place. Compare-and-swap locks a file while it compares, so that it works between processes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from orograph.infra.stores.base import check_key, check_prefix
from orograph.pipeline.core.objects import ObjectInfo
from orograph.pipeline.errors import (
    DiskFull,
    ObjectExists,
    OrographError,
    PreconditionFailed,
    StoreError,
    StoreUnavailable,
    StoreUnwritable,
)

_HASHED_UP_TO: Final = 4 * 2**20
_TEMPORARY: Final = ".temporary"
_LOCKS: Final = ".locks"
_LOCK_COUNT: Final = 64
_FOLDER_ATTEMPTS: Final = 10


class LocalStore:
    """Objects as files below a folder, which is created by the first put.

    ETags are the sha256 of the content for objects up to 4 MiB (only these are swapped), and inode, time and size
    for larger, immutable ones.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.url = str(self.root)

    def __repr__(self) -> str:
        return f"LocalStore({self.url!r})"

    def head(self, key: str) -> ObjectInfo | None:
        """Return an object's size and ETag; None when it does not exist."""
        path = self._path(key)
        with _faults(key):
            return _info(key, path)

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """The object's bytes, or those from `start` up to `end`; KeyError when there is none."""
        path = self._path(key)
        with _faults(key), _missing_is_key_error(key), path.open("rb") as file:
            file.seek(start)
            return file.read() if end is None else file.read(max(0, end - start))

    def download(self, key: str, path: Path) -> ObjectInfo:
        """Write the object to a local file; KeyError when there is none."""
        source = self._path(key)
        with _faults(key), _missing_is_key_error(key):
            shutil.copyfile(source, path)
            info = _info(key, source)
        if info is None:
            raise KeyError(key)
        return info

    def put(
        self,
        key: str,
        data: bytes | Path,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        media_type: str = "application/octet-stream",  # noqa: ARG002 - files carry no media type
    ) -> ObjectInfo:
        """Store an object atomically; see `ObjectStore.put`."""
        path = self._path(key)
        with _faults(key), self._temporary(data) as temporary:
            # Moving or linking keeps what the ETag is made of; the object may be deleted again before it is looked at.
            status = temporary.stat()
            written = ObjectInfo(key, _etag(temporary, status), status.st_size)
            for attempt in range(_FOLDER_ATTEMPTS):
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._place(key, temporary, path, if_absent=if_absent, if_match=if_match)
                except (FileNotFoundError, FileExistsError):
                    # A deletion removed the empty folder in between, or while `mkdir` looked whether it is one.
                    if attempt + 1 == _FOLDER_ATTEMPTS:
                        raise
                else:
                    break
            return written

    def delete(self, key: str) -> None:
        """Delete an object, and folders that become empty; no-op if it does not exist."""
        path = self._path(key)
        if not path.exists():
            return
        with _faults(key), self._lock(key):
            path.unlink(missing_ok=True)
        for folder in path.relative_to(self.root).parents:
            if folder == Path():
                break
            try:
                (self.root / folder).rmdir()
            except OSError:
                break  # it contains other objects

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key starts with the prefix, sorted by key."""
        check_prefix(prefix)
        folder = self.root / prefix.rpartition("/")[0]
        with _faults(prefix):
            keys = sorted(path.relative_to(self.root).as_posix() for path in _files_below(folder) if path.is_file())
        for key in keys:
            if key.startswith(prefix):
                info = self.head(key)
                if info is not None:
                    yield info

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    @contextlib.contextmanager
    def _temporary(self, data: bytes | Path) -> Iterator[Path]:
        folder = self.root / _TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / uuid.uuid4().hex
        try:
            if isinstance(data, bytes):
                with temporary.open("wb") as file:
                    file.write(data)
            else:
                shutil.copyfile(data, temporary)
            _sync(temporary)
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _place(self, key: str, temporary: Path, path: Path, *, if_absent: bool, if_match: str | None) -> None:
        if if_absent:
            self._link(key, temporary, path)
            return
        with self._lock(key):
            current = _info(key, path)
            if if_match is not None and (current is None or current.etag != if_match):
                found = "none" if current is None else current.etag
                raise PreconditionFailed(f"{key} has the ETag {found}, expected {if_match}")
            temporary.replace(path)
            _sync_folder(path.parent)

    def _link(self, key: str, temporary: Path, path: Path) -> None:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise ObjectExists(f"{key} exists") from None
        except OSError as error:
            if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}:
                raise
            # Filesystems without hard links (exFAT, some network mounts): the lock makes it one step for us all.
            with self._lock(key):
                if path.exists():
                    raise ObjectExists(f"{key} exists") from None
                temporary.rename(path)
        _sync_folder(path.parent)

    @contextlib.contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        import fcntl  # Unix only

        folder = self.root / _LOCKS
        folder.mkdir(parents=True, exist_ok=True)
        number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:2]) % _LOCK_COUNT
        with (folder / f"{number:02d}").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _info(key: str, path: Path) -> ObjectInfo | None:
    try:
        status = path.stat()
        if not path.is_file():
            return None
        return ObjectInfo(key, _etag(path, status), status.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _etag(path: Path, status: os.stat_result) -> str:
    if status.st_size <= _HASHED_UP_TO:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _files_below(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            yield Path(where, name)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    # Some network mounts cannot synchronise a folder; the file's own data is safe by then.
    with contextlib.suppress(OSError):
        _sync(path)


@contextlib.contextmanager
def _missing_is_key_error(key: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise KeyError(key) from None


@contextlib.contextmanager
def _faults(key: str) -> Iterator[None]:
    """Turn the operating system's errors into the store's."""
    try:
        yield
    except OrographError:
        raise
    except OSError as error:
        raise _translated(key, error) from error


def _translated(key: str, error: OSError) -> OrographError:
    text = f"{key}: {error.strerror or error}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return DiskFull(text, remedy="free some space, then run the same command again: it resumes")
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StoreUnwritable(text, remedy="choose another store or correct its permissions")
    if error.errno in {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.EBUSY}:
        return StoreUnavailable(text)
    return StoreError(text)
