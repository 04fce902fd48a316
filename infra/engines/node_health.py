"""Which faults belong to a node, and which nodes get no more work: a missing mount must not fail a run's tiles.

A fault that may belong to the node is tried on another one. Success there confirms that the node was the cause; failure
there clears it, because then the fault is the tile's own. A node with three open or confirmed faults in a row gets no new
tiles until they are settled, and with three confirmed ones none at all. No clock and no cluster in here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from orograph.pipeline.core.runnable import Runnable
from orograph.pipeline.errors import (
    DiskFull,
    GridCorrupt,
    GridMissing,
    OrographError,
    PackageMissing,
    SourceChanged,
    SourceCorrupt,
    SourceMissing,
    StoreUnwritable,
)
from orograph.pipeline.job import Job

IN_A_ROW: Final = 3
"""Faults in a row after which a node is set aside."""

_ALWAYS: Final = (GridMissing, GridCorrupt, DiskFull, PackageMissing, StoreUnwritable)
_WITH_LOCAL_FILES: Final = (SourceMissing, SourceChanged, SourceCorrupt)
_DEVICE_WORDS: Final = ("CUDA", "cuDNN", "NVML", "NVIDIA")


def may_belong_to_node(error: OrographError, job: Runnable) -> bool:
    """Whether another node may succeed: grids, scratch, packages, GPUs, and files that are read from the node's own mounts."""
    if isinstance(error, _ALWAYS):
        return True
    if isinstance(error, _WITH_LOCAL_FILES):
        sources = job.sources if isinstance(job, Job) else ()
        files = [file for ref in sources if error.source in {None, ref.source.id} for file in ref.files]
        hrefs = [file.href for file in files] or [error.source or ""]
        return any("://" not in href or href.startswith("file://") for href in hrefs)
    return any(word in error.message for word in _DEVICE_WORDS)


@dataclass(slots=True)
class _Record:
    label: str
    open: dict[str, OrographError] = field(default_factory=dict)
    confirmed: list[OrographError] = field(default_factory=list)
    starts_failed: int = 0


@dataclass(slots=True)
class NodeHealth:
    """The faults of every node of a run.

    Attributes:
        aside: Nodes that get no more work, by id, with a line for the user.
    """

    aside: dict[str, str] = field(default_factory=dict)
    _records: dict[str, _Record] = field(default_factory=dict)

    def seen(self, node: str, label: str) -> None:
        """A worker is ready on a node that users know as `label`."""
        record = self._records.setdefault(node, _Record(label))
        record.label, record.starts_failed = label, 0

    def label(self, node: str) -> str:
        """Host and address of a node."""
        record = self._records.get(node)
        return record.label if record else node[:8]

    def start_failed(self, node: str, label: str, error: OrographError, *, others: bool) -> bool:
        """A worker could not start on a node; True when it is set aside now, which needs others to go on with."""
        record = self._records.setdefault(node, _Record(label))
        record.label = label
        record.starts_failed += 1
        return others and record.starts_failed >= IN_A_ROW and self._set_aside(node, error)

    def fault(self, node: str, tile: str, error: OrographError) -> None:
        """A tile met a fault that may belong to the node."""
        self._records.setdefault(node, _Record(node[:8])).open[tile] = error

    def cleared(self, tile: str) -> None:
        """A tile failed on every node it was tried on: the fault is its own."""
        for record in self._records.values():
            record.open.pop(tile, None)

    def passed(self, node: str, tile: str, tried_on: tuple[str, ...]) -> tuple[str, ...]:
        """A tile ended on a node without such a fault; returns the nodes that are set aside by that."""
        own = self._records.setdefault(node, _Record(node[:8]))
        own.open.clear()
        own.confirmed.clear()
        found = []
        for other in tried_on:
            record = self._records.get(other)
            error = record.open.pop(tile, None) if record else None
            if record is None or error is None:
                continue
            record.confirmed.append(error)
            if len(record.confirmed) >= IN_A_ROW and self._set_aside(other, error):
                found.append(other)
        return tuple(found)

    def takes_new(self, node: str) -> bool:
        """Whether a node may be given tiles that were not tried elsewhere."""
        record = self._records.get(node)
        if node in self.aside:
            return False
        return record is None or len(record.open) + len(record.confirmed) < IN_A_ROW

    def _set_aside(self, node: str, error: OrographError) -> bool:
        if node in self.aside:
            return False
        self.aside[node] = (
            f"{self._records[node].label} was set aside after {IN_A_ROW} faults in a row; "
            f"the last was {type(error).__name__}: {error.message}"
        )
        return True
