"""Decides which faults are a node's and which nodes get no more work, so that a missing mount fails no tiles.

A fault that may belong to the node is tried on another one. Success there confirms that the node was the cause; failure
shows that the fault is the tile's own. A node with three undecided or confirmed faults in a row gets no new tiles until
they are decided, and with three confirmed ones no more tiles. The module needs no clock and no cluster.
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
    """Whether another node may succeed: faults of grids, scratch, packages, GPUs, and files on the node's mounts."""
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
        aside: Nodes that get no more work: message for the user by node id.
    """

    aside: dict[str, str] = field(default_factory=dict)
    _records: dict[str, _Record] = field(default_factory=dict)

    def seen(self, node: str, label: str) -> None:
        """Record that a worker is ready on a node; messages name the node by `label`."""
        record = self._records.setdefault(node, _Record(label))
        record.label, record.starts_failed = label, 0

    def label(self, node: str) -> str:
        """Host and address of a node."""
        record = self._records.get(node)
        return record.label if record else node[:8]

    def start_failed(self, node: str, label: str, error: OrographError, *, others: bool) -> bool:
        """Record that a worker could not start on a node; True if this excludes the node (if there are `others`)."""
        record = self._records.setdefault(node, _Record(label))
        record.label = label
        record.starts_failed += 1
        return others and record.starts_failed >= IN_A_ROW and self._set_aside(node, error)

    def fault(self, node: str, tile: str, error: OrographError) -> None:
        """Record a fault of a tile that may be the node's."""
        self._records.setdefault(node, _Record(node[:8])).open[tile] = error

    def cleared(self, tile: str) -> None:
        """Record that a tile failed on every node that tried it: the fault is the tile's own."""
        for record in self._records.values():
            record.open.pop(tile, None)

    def passed(self, node: str, tile: str, tried_on: tuple[str, ...]) -> tuple[str, ...]:
        """Record that a tile ended on a node without such a fault; returns the nodes that this excludes."""
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
        """Whether a node may get tiles that no other node has tried."""
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
