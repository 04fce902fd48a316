"""Side-cars of remote files, requested by name."""

from __future__ import annotations

import contextlib

from orograph.pipeline.errors import SourceCorrupt, SourceInaccessible, SourceMissing
from orograph.pipeline.sources.catalogue import CellTemplate, Source
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.sources.sidecars import remote_candidates
from orograph.pipeline.sources.source_files import Probe


def remote_sidecars(href: str, source: Source, probe: Probe) -> tuple[FileRef, ...]:
    """Return the side-cars of a remote file; none if the source says that it has none, or by default for cells.

    Raises:
        SourceUnavailable: the server fails.
    """
    has_any = not isinstance(source.data, CellTemplate) if source.sidecars is None else source.sidecars
    found = []
    for name in remote_candidates(href) if has_any else ():
        with contextlib.suppress(SourceMissing, SourceInaccessible, SourceCorrupt):
            found.append(probe(name, source))
    return tuple(found)
