"""Interface through which planning reads files of sources.

Implemented by `orograph.infra.runs.source_access`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from orograph.pipeline.sources.catalogue import Source
from orograph.pipeline.sources.partial import RasterFile
from orograph.pipeline.sources.refs import FileRef

Probe = Callable[[str, Source], FileRef]
"""Identify an object of a source by href; raises `SourceMissing` only where it is settled that there is none."""


class SourceFiles(Protocol):
    """Lists and opens the files of sources, wherever they are."""

    def listed(self, pattern: str, source: Source) -> list[str]:
        """Expand a pattern to hrefs; an href without a pattern is returned unchanged."""
        ...

    def opened(self, file: FileRef, source: Source) -> RasterFile:
        """Open a file: a local path, or a sparse copy that fetches blocks on demand."""
        ...


class LocalFiles:
    """Files of this machine."""

    def listed(self, pattern: str, _source: Source) -> list[str]:
        """The href itself: local patterns are resolved by the planner."""
        return [pattern]

    def opened(self, file: FileRef, _source: Source) -> RasterFile:
        """The path."""
        return Path(file.href)
