"""Decides whether a cell without an object is really absent (sea) or its server is not readable.

A server that denies access, an expired token or a wrong address must not become a void. So a cell counts as absent only
if the list of existing cells leaves it out, or if its server says "no such object" while another object of the same
source was seen to be readable.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from orograph.infra.objects.client import protocol_of
from orograph.pipeline.errors import InputError, OrographError, SourceInaccessible, SourceMissing
from orograph.pipeline.planning.cells import template_files
from orograph.pipeline.sources.catalogue import CellTemplate, Source
from orograph.pipeline.sources.refs import FileRef
from orograph.pipeline.superres.thinning_check import sample_points_deg

_FIELD: Final = re.compile(r"\{")


class CellPresence:
    """Decides which cells of a source are absent, and records which objects were read.

    Args:
        probe: Identity of an object; raises as `ObjectClient.probe`.
        read: Reads a small object whole.
        is_readable: Whether objects below a prefix can be listed.
    """

    def __init__(
        self,
        probe: Callable[[str, Source], FileRef],
        read: Callable[[str, Source], bytes],
        is_readable: Callable[[str, Source], bool],
    ) -> None:
        self._probe, self._read, self._is_readable = probe, read, is_readable
        self._readable: dict[str, bool] = {}
        self._lists: dict[str, frozenset[str]] = {}

    def seen(self, source: Source) -> None:
        """Record that an object of the source was just read."""
        self._readable[source.id] = True

    def settled(self, href: str, source: Source, error: OrographError) -> OrographError:
        """The error to raise for a cell that could not be probed: `SourceMissing` only if the cell is certainly absent.

        Args:
            href: Address of the cell.
            source: The cell's source.
            error: `SourceMissing` or `SourceInaccessible` of the cell's own href.
        """
        template = source.data
        if not isinstance(template, CellTemplate) or not template.missing_is_void:
            return error
        if template.cells is not None:
            return self._by_list(href, source, template.cells, error)
        if isinstance(error, SourceInaccessible) or self._seen_readable(source, template):
            return error
        return SourceInaccessible(
            "no cell of the source was seen to be readable, so this one may be forbidden or misplaced rather than absent",
            source=href,
            remedy="correct `data.href` and `access` of the source, or name a list of its cells in `data.cells`",
        )

    def _by_list(self, href: str, source: Source, cells: str, error: OrographError) -> OrographError:
        try:
            names = self._names(cells, source)
        except (SourceMissing, SourceInaccessible) as fault:
            return SourceInaccessible(
                f"the list of existing cells {cells} cannot be read: {fault.message}",
                source=source.id,
                remedy=fault.remedy or "correct `data.cells` of the source, or leave it out",
            )
        if not names & set(_names_of(href)):
            return SourceMissing("the list of cells leaves it out", source=href)
        if isinstance(error, SourceInaccessible):
            return error
        return SourceInaccessible(
            f"{cells} lists a cell that is not there: {error.message}", source=href, remedy="try later"
        )

    def _names(self, href: str, source: Source) -> frozenset[str]:
        if href not in self._lists:
            text = self._read(href, source).decode("utf-8", "replace")
            names = frozenset(line.strip() for line in text.splitlines() if line.strip())
            if not names:
                raise SourceMissing("the list is empty", source=href)
            self._lists[href] = names
            self.seen(source)
        return self._lists[href]

    def _seen_readable(self, source: Source, template: CellTemplate) -> bool:
        if source.id not in self._readable:
            self._readable[source.id] = self._look(source, template)
        return self._readable[source.id]

    def _look(self, source: Source, template: CellTemplate) -> bool:
        """List the template's fixed part; where that is not possible, ask for cells spread over the source's area."""
        prefix = _FIELD.split(template.href, maxsplit=1)[0]
        if protocol_of(template.href) == "file":
            folder = Path(prefix).parent if not prefix.endswith("/") else Path(prefix)
            return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
        try:
            if self._is_readable(prefix, source):
                return True
        except (SourceInaccessible, SourceMissing, InputError):
            pass  # listing needs a right of its own
        for bounds_deg in sample_points_deg(source):
            for href, _ in template_files(template, bounds_deg):
                try:
                    self._probe(href, source)
                except SourceMissing:
                    continue
                except SourceInaccessible:
                    return False
                return True
        return False


def _names_of(href: str) -> Iterator[str]:
    """Names a list may use for a cell: href, path in the bucket, file name with and without suffix, folder."""
    path = PurePosixPath(href.partition("://")[2].partition("/")[2] or href)
    yield from (href, str(path), path.name, path.stem)
    if path.parent.name:
        yield from (path.parent.name, f"{path.parent}/")
