"""Wraps an engine with the services of a long run: record, metrics, log lines, and a graceful stop.

On SIGTERM, or the first Ctrl-C, no further tile is started, running tiles are finished, and the record is
closed; a second Ctrl-C stops at once. Committed tiles stay in both cases.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from types import FrameType
from typing import Any

from orograph.infra.engines.protocol import DrainingEngine, EventCallback, Outcome, Runner, Status, Work
from orograph.infra.reporting.run_record import Journal, run_name
from orograph.infra.reporting.telemetry import LazyRayMetrics, Metrics, NoMetrics, configure_logging
from orograph.infra.reporting.tile_pictures import tile_pictures
from orograph.infra.stores.open import open_store
from orograph.pipeline.core.runnable import Runnable
from orograph.pipeline.job import Job
from orograph.pipeline.settings import RunSettings

log = logging.getLogger(__name__)


class Supervised:
    """An engine that wraps another engine.

    Args:
        engine: The engine that runs the jobs.
        journal: The run's record.
        metrics: Receiver of the metrics.
        drawn: Jobs of tiles that the report may show, with their sources' files.
    """

    def __init__(
        self, engine: DrainingEngine, journal: Journal, metrics: Metrics | None = None, drawn: Iterable[Job] = ()
    ) -> None:
        self.drawn = {job.id: job for job in drawn}
        self.engine = engine
        self.name = engine.name
        self.journal = journal
        self.metrics = metrics or NoMetrics()
        self.interrupted = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes about the machines for the end of a run, such as excluded nodes."""
        return tuple(getattr(self.engine, "notes", ()))

    def drain(self) -> None:
        """Start no further job."""
        self.interrupted = True
        self.engine.drain()

    def run(self, jobs: Iterable[Work], runner: Runner[Work], on_event: EventCallback) -> Iterator[Outcome]:
        """Run every job and yield its outcome; the report is written when the iterator ends for any reason."""
        callback = _Callback(self.journal, self.metrics, on_event)
        ended, made = False, []
        try:
            with draining_on_signals(self):
                for outcome in self.engine.run(jobs, runner, callback):
                    self.journal.workers = self.engine.workers
                    self.journal.outcome(outcome)
                    self.metrics.outcome(outcome)
                    self.metrics.running(self.journal.running)
                    _log_outcome(outcome)
                    if outcome.status in (Status.DONE, Status.UP_TO_DATE) and outcome.job.id in self.drawn:
                        made.append(self.drawn[outcome.job.id])
                    yield outcome
            ended = True
        finally:
            self.metrics.running(0)
            self.journal.notes = self.notes
            pictures = tile_pictures(self.journal.store, made) if ended else ()
            self.journal.finish(interrupted=self.interrupted or not ended, pictures=pictures)


def supervised(
    engine: DrainingEngine, settings: RunSettings, jobs: Sequence[Runnable], drawn: Iterable[Job] = ()
) -> Supervised:
    """Wrap an engine with a run record in the store, Prometheus metrics on Ray, and log lines without progress bars.

    `OROGRAPH_LOG=json` always writes log lines, `OROGRAPH_LOG=off` never.
    """
    wanted = os.environ.get("OROGRAPH_LOG", "off" if sys.stderr.isatty() or engine.name == "local" else "json")
    if wanted == "json":
        configure_logging()
    digest = hashlib.sha256("".join(sorted(job.run_key for job in jobs)).encode()).hexdigest()
    journal = Journal(
        open_store(settings.store, endpoint_url=settings.s3_endpoint_url),
        run_name(digest),
        engine.name,
        total=len(jobs),
        workers=engine.workers,
        price_per_hour=settings.price_per_worker_hour,
    )
    metrics = LazyRayMetrics(journal.run) if engine.name == "ray" else NoMetrics()
    return Supervised(engine, journal, metrics, drawn)


class _Callback:
    """Passes events to the record, the metrics and further listeners."""

    def __init__(self, journal: Journal, metrics: Metrics, also: EventCallback) -> None:
        self.journal, self.metrics, self.also = journal, metrics, also

    def __call__(self, event: Any) -> None:
        self.journal.event(event)
        self.metrics.event(event)
        self.metrics.running(self.journal.running)
        log.debug("%s %.0f %%", event.stage, 100 * event.fraction, extra={"tile": event.tile, "stage": event.stage})
        self.also(event)


@contextlib.contextmanager
def draining_on_signals(engine: Any) -> Iterator[None]:
    """Context in which SIGTERM and the first SIGINT drain the engine; no effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def drain(number: int, _frame: FrameType | None) -> None:
        log.warning("%s: ending the tiles that run, starting no more", signal.Signals(number).name)
        engine.drain()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, drain) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_outcome(outcome: Outcome) -> None:
    fields = {"tile": outcome.job.id, "job": outcome.job.run_key, "attempt": outcome.attempts}
    if outcome.error is None:
        log.info("%s", outcome.status, extra=fields)
        return
    level = logging.ERROR if outcome.status in {Status.FAILED, Status.QUARANTINED} else logging.WARNING
    log.log(level, "%s: %s", outcome.status, outcome.error, extra={**fields, "stage": outcome.error.stage})
