"""Folders for temporary files, removed at exit; the next process removes those of killed processes.

A killed process cannot clean up. So every folder is locked (flock) while its process lives: the kernel releases
the lock however the process ends. Names contain the host, because other machines that share the file system may not
see the lock: only folders of this host whose lock is free are removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final

from orograph.pipeline.errors import DiskFull, StoreUnwritable

_HOST: Final = re.sub(r"[^A-Za-z0-9.]", "-", socket.gethostname())
_OURS: Final = re.compile(rf"orograph-[A-Za-z0-9]+@{re.escape(_HOST)}-[a-z0-9_]{{8}}")
_ATTEMPTS: Final = 10


class ScratchFolder:
    """A folder for one job's temporary files, as a context manager; entering removes folders of dead processes.

    Args:
        parent: Folder in which it is made; the system's folder for temporary files when None.
        name: Letters and digits that show its purpose, such as a tile's id.

    Raises:
        StoreUnwritable, DiskFull: the folder cannot be written.
    """

    def __init__(self, parent: Path | None, name: str) -> None:
        self._parent = parent or Path(tempfile.gettempdir())
        self._name = name
        self._path: Path | None = None
        self._lock = -1

    def __enter__(self) -> Path:
        try:
            self._parent.mkdir(parents=True, exist_ok=True)
            collect_orphans(self._parent)
            return self._make()
        except PermissionError as error:
            raise StoreUnwritable(
                f"cannot write to {self._parent}: {error}", remedy="choose another --scratch"
            ) from error
        except OSError as error:
            raise DiskFull(f"no scratch folder: {error}", remedy="free space or choose another --scratch") from error

    def _make(self) -> Path:
        for _ in range(_ATTEMPTS):
            path = Path(tempfile.mkdtemp(prefix=f"orograph-{self._name}@{_HOST}-", dir=self._parent))
            # Another process may take the folder for an orphan in the moment before it is locked: then once more.
            with contextlib.suppress(FileNotFoundError):
                lock = _locked(path)
                if lock is not None:
                    self._path, self._lock = path, lock
                    return path
        raise OSError(f"{self._parent} loses folders")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            os.close(self._lock)
            self._path, self._lock = None, -1


def collect_orphans(parent: Path) -> list[Path]:
    """Remove the folders of ended processes of this host and user; return their paths."""
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if _OURS.fullmatch(entry.name)]
        return [path for path in found if _collected(path)]
    return []


def _collected(path: Path) -> bool:
    with contextlib.suppress(OSError):
        if path.lstat().st_uid != os.getuid():
            return False
        lock = _locked(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
            return True
    return False


def _locked(path: Path) -> int | None:
    """A descriptor that holds the folder's lock; None when another process has it.

    Raises:
        FileNotFoundError: the folder is gone.
        OSError: the file system does not support locks, or the path is not a folder.
    """
    import fcntl  # Unix only

    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    except BlockingIOError:
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None
