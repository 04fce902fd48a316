"""Finds the files of a planner's sources: by index, or by searching the area of a tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from shapely.geometry import box
from shapely.geometry.base import BaseGeometry

from orograph.pipeline.errors import SourceMissing
from orograph.pipeline.planning.cells import template_files
from orograph.pipeline.sources.catalogue import CellTemplate, Files, Portal, Source
from orograph.pipeline.sources.index_build import Listing, build_index, list_files, listed
from orograph.pipeline.sources.listings import Bounds, Entry, Read, can_search, read_listing
from orograph.pipeline.sources.readiness import check_ready
from orograph.pipeline.sources.source_files import LocalFiles, Probe, SourceFiles
from orograph.pipeline.sources.source_index import SourceIndex


class Indexes(Protocol):
    """Finds the files of sources."""

    def index(self, source: Source) -> SourceIndex | None:
        """The index of a source; None where its files are found by area instead.

        Raises:
            SourceMissing, SourceCorrupt, SourceGridError, SourceUnavailable: a file or listing cannot be used; the
                error names source and file.
        """
        ...

    def candidates(self, source: Source, bounds_deg: Bounds) -> Sequence[tuple[str, BaseGeometry]]:
        """Hrefs and footprints (degrees) of possible files of a source without index in an area."""
        ...


def read_local(href: str) -> bytes:
    """A local document.

    Raises:
        SourceMissing: it does not exist, or is not local.
    """
    try:
        return Path(href.removeprefix("file://")).read_bytes()
    except OSError as error:
        raise SourceMissing(f"{href} cannot be read: {error.strerror}", remedy="check the href") from error


@dataclass(slots=True)
class MemoryIndexes:
    """Makes indexes in memory, once per process: every listed file is opened.

    Args:
        probe: Identifies remote objects.
        files: Lists and opens files.
        read: Reads listings.
    """

    probe: Probe
    files: SourceFiles = field(default_factory=LocalFiles)
    read: Read = read_local
    _listings: dict[str, list[Entry] | None] = field(default_factory=dict)

    def index(self, source: Source) -> SourceIndex | None:
        """The index of a list of files, or of a listing without footprints."""
        listing = self.listing(source)
        return None if listing is None else build_index(source, listing, self.probe, self.files)

    def listing(self, source: Source) -> Listing | None:
        """The files to index; None where the source's footprints are known without opening a file."""
        if isinstance(source.data, Files):
            return list_files(source, self.files)
        entries = self._entries(source)
        if entries is None or all(shape is not None for _, shape in entries):
            return None
        return listed(entries, source.id)

    def candidates(self, source: Source, bounds_deg: Bounds) -> Sequence[tuple[str, BaseGeometry]]:
        """Cells of a template, or entries of a listing."""
        if isinstance(source.data, CellTemplate):
            return template_files(source.data, bounds_deg)
        if isinstance(source.data, Files):
            raise TypeError(f"source {source.id} has an index")
        if isinstance(source.data, Portal):
            check_ready(source)
            return []
        entries = self._entries(source)
        if entries is None:
            entries = read_listing(source.data, self.read, source.id, bounds_deg)
        wanted = box(*bounds_deg)
        return [(href, shape) for href, shape in entries if shape is not None and shape.intersects(wanted)]

    def _entries(self, source: Source) -> list[Entry] | None:
        """Return the whole listing, read once; None if the listing can be searched by area."""
        if isinstance(source.data, Files | CellTemplate):
            return None
        if isinstance(source.data, Portal):
            check_ready(source)
            return None
        if source.id not in self._listings:
            searchable = can_search(source.data, self.read)
            self._listings[source.id] = None if searchable else read_listing(source.data, self.read, source.id)
        return self._listings[source.id]
