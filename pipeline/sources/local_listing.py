"""Lists local files by pattern with their states and side-cars, each folder read once."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import json
import os
import re
import stat
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.sources.file_identity import FileState, local_ref
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.sidecars import (
    APPENDED,
    PART_ENDS,
    PROJECTION,
    WORLD,
    candidates,
    companions,
    may_have_parts,
)

_SIDECAR_SUFFIXES: Final = tuple({suffix.lower() for suffix in (*APPENDED, *WORLD, *PROJECTION)})
_SIDECAR_ENDS: Final = frozenset(suffix[suffix.rfind(".") :] for suffix in _SIDECAR_SUFFIXES)


@dataclass(frozen=True, eq=False)
class LocalListing:
    """Files, sorted by path.

    Attributes:
        paths: Paths.
        states: Size in bytes, time of change in ns and inode, shape (files, 3).
        sidecars: `sidecar_text` of the files that have side-cars, by path.
    """

    paths: list[str]
    states: npt.NDArray[np.int64]
    sidecars: dict[str, str] = field(default_factory=dict)


def sidecar_text(sidecars: Iterable[FileRef]) -> str | None:
    """Encode side-cars for a source index: a JSON list of href, ETag and size; None without side-cars."""
    found = [[one.href, one.etag, one.size_bytes] for one in sidecars]
    return json.dumps(found, ensure_ascii=False) if found else None


def sidecars_of(text: str | None) -> tuple[FileRef, ...]:
    """Decode the output of `sidecar_text`."""
    if not text:
        return ()
    return tuple(FileRef(href=href, etag=etag, size_bytes=size) for href, etag, size in json.loads(text))


def local_sidecars(path: str) -> str | None:
    """The current `sidecar_text` of a local file."""
    return sidecar_text(map(local_ref, companions(path)))


def named_files(paths: Sequence[str], source_id: str) -> LocalListing:
    """List files by name.

    Raises:
        SourceMissing: a file does not exist.
    """
    states = np.array([file_state(path, source_id) for path in paths], np.int64).reshape(-1, 3)
    texts = {path: text for path in paths if (text := local_sidecars(path)) is not None}
    return LocalListing(list(paths), states, texts)


def matching_files(pattern: str) -> LocalListing:
    """List the files that match a pattern, without folders; hidden files match no pattern.

    Raises:
        SourceMissing: a folder cannot be listed, or a file disappeared meanwhile.
    """
    folder, name = os.path.split(pattern)
    if glob.has_magic(folder) or "**" in name:
        found = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - patterns are absolute paths
        return named_files([path for path in found if Path(path).is_file()], "")
    try:
        place = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return LocalListing([], np.empty((0, 3), np.int64))
    except OSError as error:
        raise SourceMissing(f"{folder} cannot be listed: {error.strerror}") from error
    try:
        return _scanned(place, "/" if folder == "/" else f"{folder}/", name)
    except FileNotFoundError as error:
        # A file that went between listing and looking, or a link to nowhere.
        raise SourceMissing(f"no file at {folder}/{error.filename}", remedy="remove it or plan again") from error
    except OSError as error:
        raise SourceMissing(f"{folder} cannot be listed: {error.strerror}") from error
    finally:
        os.close(place)


def file_state(path: str, source_id: str) -> tuple[int, int, int]:
    """Size, time of change and inode of a file.

    Raises:
        SourceMissing: it does not exist.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - hundreds of thousands of them
    except OSError as error:
        raise SourceMissing(
            f"no file at {path}", source=source_id, remedy="check the href in the source catalogue"
        ) from error
    return found.st_size, found.st_mtime_ns, found.st_ino


def _scanned(place: int, start: str, pattern: str) -> LocalListing:
    """Files of an open folder that match, with their states and side-cars.

    The state of every file is read: a file that is rewritten in place does not touch its folder. It is read relative to the
    open folder, so that the system does not walk the path for each file.
    """
    everything = os.listdir(place)
    accepted = re.compile(fnmatch.translate(pattern)).match
    is_hidden = pattern.startswith(".")
    matching = sorted(name for name in everything if accepted(name) and (is_hidden or name[0] != "."))
    names: list[str] = []
    flat = array("q")
    for name in matching:
        found = os.stat(name, dir_fd=place)
        if stat.S_ISREG(found.st_mode):
            names.append(name)
            flat.extend((found.st_size, found.st_mtime_ns, found.st_ino))
    states = np.frombuffer(flat, np.int64).reshape(-1, 3) if names else np.empty((0, 3), np.int64)
    # The ends of names show side-cars and parts, of which a folder has few.
    ends = {end.lower() for end in {*map(_end, everything)}}
    beside = {} if _SIDECAR_ENDS.isdisjoint(ends) else _beside(place, everything)
    in_parts = [] if PART_ENDS.isdisjoint(ends) else [name for name in names if may_have_parts(name)]
    return LocalListing([start + name for name in names], states, _paired(start, names, in_parts, beside))


def _end(name: str) -> str:
    """The name from its last dot; empty where it has none."""
    place = name.rfind(".")
    return name[place:] if place >= 0 else ""


def _beside(place: int, names: Iterable[str]) -> dict[str, FileState]:
    """States of everything in an open folder that is named like a side-car."""
    beside: dict[str, FileState] = {}
    for name in names:
        if not name[-8:].lower().endswith(_SIDECAR_SUFFIXES):
            continue
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=place)
            if stat.S_ISREG(found.st_mode):
                beside[name] = FileState.of(found)
    return beside


def _paired(start: str, names: Sequence[str], in_parts: Sequence[str], beside: dict[str, FileState]) -> dict[str, str]:
    """`sidecar_text` of the files of a folder that have side-cars, by path; as `companions` finds them."""
    of_parts = [start + name for name in in_parts]
    found = {path: text for path in of_parts if (text := local_sidecars(path)) is not None}
    if not beside:
        return found
    owners = {_without_suffix(name) for name in beside}
    for name in names:
        if start + name in found:
            continue
        if name not in owners and name.rpartition(".")[0] not in owners:
            continue
        inodes: set[int] = set()
        refs: list[FileRef] = []
        for candidate in candidates(name):
            state = beside.get(candidate)
            if state is None or state.inode in inodes or _is_of_shapefile(start + candidate):
                continue
            inodes.add(state.inode)
            refs.append(FileRef(href=start + candidate, etag=state.etag, size_bytes=state.size_bytes))
        text = sidecar_text(refs)
        if text is not None:
            found[start + name] = text
    return found


def _without_suffix(name: str) -> str:
    lower = name.lower()
    length = max(len(suffix) for suffix in _SIDECAR_SUFFIXES if lower.endswith(suffix))
    return name[:-length]


def _is_of_shapefile(path: str) -> bool:
    return path.lower().endswith(".prj") and Path(path).with_suffix(".shp").exists()
