"""Engines run jobs; the same `runner` runs in this process, in others, or on a cluster.

A runner is an importable function `runner(job, progress) -> Receipt`; it must be safe to call twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

from orograph.pipeline.core.runnable import Runnable
from orograph.pipeline.errors import OrographError
from orograph.pipeline.job import ProgressCallback

Work = TypeVar("Work", bound=Runnable)


class Status(StrEnum):
    """How a tile ended."""

    DONE = "done"
    UP_TO_DATE = "up-to-date"
    FAILED = "failed"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Result of a runner: a few hundred bytes, never rasters.

    Attributes:
        tile: Tile id.
        run_key: The job's run key.
        status: DONE or UP_TO_DATE.
        manifest_key: Key of the manifest in the store.
        seconds: Wall seconds by stage.
        cpu_seconds: CPU seconds by stage.
        bytes_read, bytes_written: Of sources (what the tile needed) and to the store.
        reads: By source id: requests, bytes_fetched, bytes_needed, cache_hits, cache_bytes of remote sources.
        peak_rss_mb: Peak memory of the worker process while it ran.
        outside: By source id, heights left out because they are outside their vertical operation's area of use.
    """

    tile: str
    run_key: str
    status: Status
    manifest_key: str
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    bytes_read: int = 0
    bytes_written: int = 0
    reads: dict[str, dict[str, int]] = field(default_factory=dict)
    peak_rss_mb: float = 0.0
    outside: dict[str, int] = field(default_factory=dict)


Runner = Callable[[Work, ProgressCallback], Receipt]
"""Makes one result; `Job`s have the `TileRunner`, `CellJob`s the `CellRunner`."""


@dataclass(frozen=True, slots=True)
class Event:
    """A sign of life of a running tile, for progress bars and logs."""

    tile: str
    stage: str
    fraction: float
    attempt: int = 1


EventCallback = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one job ended, with the error if it failed, after how many attempts."""

    job: Runnable
    status: Status
    receipt: Receipt | None = None
    error: OrographError | None = None
    attempts: int = 1


class Engine(Protocol):
    """Runs jobs and yields one outcome for each, in the order they end."""

    name: str

    def run(self, jobs: Iterable[Work], runner: Runner[Work], on_event: EventCallback) -> Iterator[Outcome]:
        """Run every job; one tile's failure never stops the others."""
        ...


class DrainingEngine(Engine, Protocol):
    """An engine that can stop after its running tiles."""

    @property
    def workers(self) -> int:
        """How many jobs it runs at once, 0 when that is not known yet."""
        ...

    def drain(self) -> None:
        """Start nothing more."""
        ...
