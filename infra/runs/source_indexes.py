"""Source indexes in a store: built in parallel, resumable, updated for changed files, and used by every plan.

```
inputs/sources/<id>/index.parquet          the index, GeoParquet
inputs/sources/<id>/parts/<n>.parquet      rows of an unfinished build
```

They contain local paths, so they are under `inputs/`, which no catalogue refers to and no service serves.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import pyarrow as pa
from shapely.geometry.base import BaseGeometry

from orograph.infra.reporting.transfer_progress import TransferStep
from orograph.infra.stores.base import Store
from orograph.pipeline.errors import CatalogueError, ConfigError
from orograph.pipeline.planning.cells import template_files
from orograph.pipeline.planning.indexes import MemoryIndexes
from orograph.pipeline.sources.catalogue import CellTemplate, Files, Portal, Source
from orograph.pipeline.sources.index_build import (
    Builder,
    Fault,
    Listing,
    build_index,
    list_files,
    listed,
    merged,
    still_there,
    unchanged,
)
from orograph.pipeline.sources.index_rows import numbers
from orograph.pipeline.sources.listings import Bounds, Read, read_listing
from orograph.pipeline.sources.readiness import check_ready
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.source_files import SourceFiles
from orograph.pipeline.sources.source_index import (
    DamagedIndex,
    OtherVersion,
    SourceIndex,
    declaration_digest,
    location_digest,
)

_ROOT: Final = "inputs/sources"
_MEDIA_TYPE: Final = "application/vnd.apache.parquet"
_log = logging.getLogger(__name__)


class IndexAccess(SourceFiles, Protocol):
    """Identifies, lists and opens files of sources; implemented by `orograph.infra.runs.source_access.SourceAccess`."""

    def probe(self, href: str, source: Source) -> FileRef:
        """Identity of a file; raises `SourceMissing` only if the file certainly does not exist."""
        ...


def index_key(source_id: str) -> str:
    """Key of a source's index."""
    return f"{_ROOT}/{source_id}/index.parquet"


def load_index(store: Store, source_id: str) -> SourceIndex | None:
    """Read a source's index; None if it does not exist.

    Raises:
        CatalogueError: it is damaged.
    """
    key = index_key(source_id)
    try:
        return SourceIndex.from_bytes(store.get(key))
    except KeyError:
        return None
    except OtherVersion:
        _log.warning("%s is of another version of Orograph; it is made again", key)
        return None
    except DamagedIndex as error:
        raise CatalogueError(
            f"{key} is damaged: {error}", source=source_id, remedy=f"run `orograph sources index {source_id} --fresh`"
        ) from error


def keep_index(store: Store, index: SourceIndex) -> None:
    """Write a source's index; the last writer replaces earlier ones, and every reader sees a complete index."""
    store.put(index_key(index.source_id), index.to_bytes(), media_type=_MEDIA_TYPE)


@dataclass(slots=True)
class StoredIndexes:
    """Indexes for a planner: read from a store and updated for local changes; made in memory if missing.

    Remote files are not checked again: workers read them only under the indexed ETag, so that a change is an error.

    Args:
        store: The store; None keeps indexes in memory.
        files: Identifies, lists and opens files.
        read: Reads listings.
    """

    store: Store | None
    files: IndexAccess
    read: Read
    _memory: MemoryIndexes = field(init=False)
    _new: dict[str, SourceIndex] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._memory = MemoryIndexes(self.files.probe, self.files, self.read)

    def index(self, source: Source) -> SourceIndex | None:
        """The index of a source; None where its files are found by area instead."""
        kept = None if self.store is None else load_index(self.store, source.id)
        if kept is None or kept.declaration != declaration_digest(source):
            found = self._memory.index(source)
        elif isinstance(source.data, Files):
            # Rows hold for a path or URL wherever the catalogue now lists it.
            found = build_index(source, list_files(source, self.files), self.files.probe, self.files, old=kept)
        else:
            found = kept if kept.location == location_digest(source) else self._memory.index(source)
        if found is not None and found is not kept:
            self._new[source.id] = found
        return found

    def keep(self) -> None:
        """Write new and updated indexes to the store."""
        if self.store is not None:
            for index in self._new.values():
                keep_index(self.store, index)
            self._new.clear()

    def candidates(self, source: Source, bounds_deg: Bounds) -> Sequence[tuple[str, BaseGeometry]]:
        """Hrefs and footprints of possible files of a source without index in an area."""
        return self._memory.candidates(source, bounds_deg)


@dataclass(frozen=True, slots=True)
class Built:
    """Result of a build: the index, the numbers of rows kept and read, and the files that could not be read."""

    index: SourceIndex
    kept: int
    read: int
    faults: tuple[Fault, ...]


def update_index(
    store: Store,
    source: Source,
    files: IndexAccess,
    read: Read,
    *,
    area_deg: Bounds | None = None,
    with_sha256: bool = False,
    fresh: bool = False,
    on_step: Callable[[TransferStep], None] = lambda _: None,
) -> Built:
    """Build or refresh a source's index in the store; an interrupted build is resumed.

    Args:
        store: Store of the index.
        source: The source.
        files: Identifies, lists and opens files.
        read: Reads listings.
        area_deg: Limit to an area: for templates and services that are too large to index whole.
        with_sha256: Identify local files by their content, so that plans are valid for copies of them elsewhere.
        fresh: Ignore the previous index.
        on_step: Called with the state of the build.

    Raises:
        SourceMissing, SourceCorrupt, SourceUnavailable: the listing cannot be read. Unreadable files are in the result.
    """
    listing = _listing(source, files, read, area_deg)
    parts = _Parts(store, source)
    if fresh:
        parts.clear()
    old = None if fresh else load_index(store, source.id)
    begun = parts.rows()
    old, fixed = _with_parts(source, old, begun)
    kept = unchanged(listing, old, source)
    if with_sha256 and old is not None:
        kept[(kept >= 0) & ~numbers(old.rows.column("pinned"))[kept] & listing.is_local] = -1
    if old is not None:
        recent = (kept >= 0) & (kept < fixed)
        kept = np.where(recent, kept, still_there(listing, np.where(recent, -1, kept), old, files.probe, source))
    missing_is_void = isinstance(source.data, CellTemplate) and source.data.missing_is_void
    builder = Builder(source, files.probe, files, with_sha256, missing_is_void)
    due = np.flatnonzero(kept < 0).tolist()
    done, size_bytes, tables = 0, 0, []
    on_step(TransferStep(0, len(due)))
    for positions, table in builder.read(listing, due):
        tables.append((positions, table))
        parts.add(table)
        done = min(done + len(positions), len(due))
        size_bytes += int(np.sum(table.column("size_bytes").to_numpy()))
        on_step(TransferStep(done, len(due), size_bytes))
    index = SourceIndex.of(source, merged(kept, old, tables), area_deg)
    keep_index(store, index)
    parts.clear()
    return Built(index, int((kept >= 0).sum()), sum(len(positions) for positions, _ in tables), tuple(builder.faults))


def _listing(source: Source, files: IndexAccess, read: Read, area_deg: Bounds | None) -> Listing:
    """The files of a source now, those of an area where one is given."""
    if isinstance(source.data, Files):
        if area_deg is not None:
            raise ConfigError(f"source {source.id} is a list of files, it is indexed as a whole", source=source.id)
        return list_files(source, files)
    if isinstance(source.data, CellTemplate):
        bounds = area_deg or source.area_deg
        return listed(list(template_files(source.data, bounds)), source.id)
    if isinstance(source.data, Portal):
        check_ready(source.model_copy(update={"accept_unverified": True}))
        raise TypeError(f"source {source.id} has no files to list")
    return listed(read_listing(source.data, read, source.id, area_deg), source.id)


def _with_parts(source: Source, old: SourceIndex | None, begun: pa.Table | None) -> tuple[SourceIndex | None, int]:
    """Rows of an unfinished build before those of the last index, and the number of the former."""
    if begun is None or not begun.num_rows:
        return old, 0
    declaration = declaration_digest(source)
    tables = [begun] if old is None or old.declaration != declaration else [begun, old.table]
    table = pa.concat_tables(tables).combine_chunks()
    return SourceIndex.of(source, table), begun.num_rows


class _Parts:
    """Rows of a build that has not ended, by chunk."""

    def __init__(self, store: Store, source: Source) -> None:
        self._store = store
        self._source = source
        self._prefix = f"{_ROOT}/{source.id}/parts/"
        self._count = 0

    def _found(self) -> Iterator[str]:
        return (info.key for info in list(self._store.list(self._prefix)))

    def rows(self) -> pa.Table | None:
        """Rows of earlier chunks that were checked as the source is declared now."""
        tables = []
        for key in self._found():
            self._count += 1
            try:
                part = SourceIndex.from_bytes(self._store.get(key))
            except (KeyError, DamagedIndex) as error:
                _log.warning("%s is left out: %s", key, error)
                continue
            if part.declaration == declaration_digest(self._source):
                tables.append(part.table)
        return pa.concat_tables(tables) if tables else None

    def add(self, table: pa.Table) -> None:
        """Keep one chunk."""
        if table.num_rows:
            source = self._source
            part = SourceIndex.of(source, table)
            self._store.put(f"{self._prefix}{self._count:06d}.parquet", part.to_bytes(), media_type=_MEDIA_TYPE)
            self._count += 1

    def clear(self) -> None:
        """Forget all chunks."""
        for key in self._found():
            self._store.delete(key)
