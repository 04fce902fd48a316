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
    """Final state of a tile."""

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
        bytes_read, bytes_written: Bytes of sources that the tile needed, and bytes written to the store.
        reads: Counts of requests, bytes_fetched, bytes_needed, cache_hits and cache_bytes by remote source id.
        peak_rss_mb: Peak memory of the worker process while it ran.
        outside: Number of heights by source id that were left out because they are outside their operation's area of
            use.
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
    """Progress of a running tile, for progress bars and logs."""

    tile: str
    stage: str
    fraction: float
    attempt: int = 1


EventCallback = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Final state of one job, its error if it failed, and the number of attempts."""

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
        """Number of jobs that run at once; 0 while it is not known."""
        ...

    def drain(self) -> None:
        """Start no further job."""
        ...
