"""Telemetry of a run: structured log lines and Prometheus metrics.

A log line is one JSON object with time, level, logger, message and, where known, run, job, tile, stage and attempt.
The formatter removes secrets from all lines: keys, tokens, signatures of presigned URLs and passwords in URLs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from orograph.infra.engines.protocol import Event, Outcome, Status
from orograph.infra.reporting.redaction import redacted

_FIELDS: Final = ("run", "job", "tile", "stage", "attempt")
_context: ContextVar[dict[str, Any]] = ContextVar("log context", default={})  # noqa: B039 - replaced, never written to


class JsonFormatter(logging.Formatter):
    """Formats a log record as one line of JSON without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        document = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        document |= _context.get()
        document |= {name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None}
        # Struck out before JSON puts backslashes between a name and its value, and again in what fields hold.
        document["message"] = redacted(record.getMessage())
        if record.exc_info:
            document["exception"] = redacted(self.formatException(record.exc_info))
        return redacted(json.dumps(document, ensure_ascii=False, default=str))


def configure_logging(level: int = logging.INFO) -> None:
    """Send the packages' log lines to standard error as JSON; calling it again changes only the level."""
    logger = logging.getLogger("orograph")
    logger.setLevel(level)
    if not any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.propagate = False


@contextlib.contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Context that adds fields to every log line."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class Metrics(Protocol):
    """Receives every event and outcome of a run."""

    def event(self, event: Event) -> None:
        """A running tile moved on."""
        ...

    def outcome(self, outcome: Outcome) -> None:
        """A tile ended."""
        ...

    def running(self, tiles: int) -> None:
        """So many tiles run now."""
        ...


class NoMetrics:
    """Ignores all events, for runs without monitoring."""

    def event(self, event: Event) -> None:
        """No-op."""

    def outcome(self, outcome: Outcome) -> None:
        """No-op."""

    def running(self, tiles: int) -> None:
        """No-op."""


class RayMetrics:
    """Metrics that Ray's agents export at every node's metrics port, as `ray_orograph_...`.

    The driver, which receives every event, keeps them; receipts contain the workers' measurements.
    """

    def __init__(self, run: str) -> None:
        from ray.util import metrics

        tags = {"run": run}

        def counter(name: str, text: str, *keys: str) -> Any:
            made = metrics.Counter(f"orograph_{name}", text, tag_keys=("run", *keys))
            made.set_default_tags(tags)
            return made

        def histogram(name: str, text: str, boundaries: list[float], *keys: str) -> Any:
            made = metrics.Histogram(f"orograph_{name}", text, boundaries=boundaries, tag_keys=("run", *keys))
            made.set_default_tags(tags)
            return made

        def gauge(name: str, text: str) -> Any:
            made = metrics.Gauge(f"orograph_{name}", text, tag_keys=("run",))
            made.set_default_tags(tags)
            return made

        seconds = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0]
        self._tiles = counter("tiles_total", "Tiles that ended, by status", "status")
        self._retries = counter("retries_total", "Attempts that failed and were repeated")
        self._errors = counter("errors_total", "Tiles that failed, by class of error", "error")
        self._read = counter("bytes_read_total", "Bytes of sources read")
        self._written = counter("bytes_written_total", "Bytes written to the store")
        self._stage = histogram("stage_seconds", "Wall seconds of a stage of a tile", seconds, "stage")
        self._cpu = counter("stage_cpu_seconds_total", "CPU seconds by stage", "stage")
        self._tile = histogram("tile_seconds", "Wall seconds of a tile, all stages", seconds)
        self._memory = histogram("worker_peak_mb", "Peak memory of a worker", [250, 500, 750, 1000, 1500, 2000, 4000])
        self._running = gauge("tiles_running", "Tiles that run now")

    def event(self, event: Event) -> None:
        """No-op: stages are counted when the tile has ended."""

    def outcome(self, outcome: Outcome) -> None:
        """Add a tile's measurements."""
        self._tiles.inc(1, {"status": str(outcome.status)})
        if outcome.attempts > 1:
            self._retries.inc(outcome.attempts - 1)
        if outcome.error is not None:
            self._errors.inc(1, {"error": type(outcome.error.__cause__ or outcome.error).__name__})
        receipt = outcome.receipt
        if receipt is None or outcome.status is not Status.DONE:
            return
        for counter, amount in ((self._read, receipt.bytes_read), (self._written, receipt.bytes_written)):
            if amount:
                counter.inc(amount)
        for stage, value in receipt.seconds.items():
            self._stage.observe(value, {"stage": stage})
        for stage, value in receipt.cpu_seconds.items():
            if value > 0:
                self._cpu.inc(value, {"stage": stage})
        self._tile.observe(sum(receipt.seconds.values()))
        self._memory.observe(receipt.peak_rss_mb)

    def running(self, tiles: int) -> None:
        """So many tiles run now."""
        self._running.set(tiles)


class LazyRayMetrics:
    """`RayMetrics`, made at the first event, after the engine has connected to the cluster."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._made: RayMetrics | None = None

    def _metrics(self) -> RayMetrics:
        if self._made is None:
            self._made = RayMetrics(self._run)
        return self._made

    def event(self, event: Event) -> None:
        """A running tile moved on."""
        self._metrics().event(event)

    def outcome(self, outcome: Outcome) -> None:
        """A tile ended."""
        self._metrics().outcome(outcome)

    def running(self, tiles: int) -> None:
        """So many tiles run now."""
        if tiles or self._made:
            self._metrics().running(tiles)
