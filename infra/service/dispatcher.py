"""Runs accepted orders: a bounded queue, a few threads, and a lease that expires when the service stops.

Nothing is computed in a request. A thread takes a job, runs it through the engine as `orograph run` would, and records
the outcome. When a service stops, its records stay; the next service or replica takes them over
when the lease has expired.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pydantic import ValidationError

from orograph.infra.engines.protocol import Engine, Event, Outcome, Receipt, Runner, Status
from orograph.infra.reporting.redaction import redacted
from orograph.infra.service.job_records import JobBook, JobRecord, JobStatus, now
from orograph.infra.service.leases import Leases
from orograph.infra.stores.base import Store
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.precision import DEFAULT_PRECISION
from orograph.pipeline.errors import ConfigError, OrographError, StoreError, StoreUnwritable
from orograph.pipeline.job import Job
from orograph.pipeline.planning.check_settings import has_bare_earth_network, runs_on_device
from orograph.pipeline.settings import NETWORK_OPTIONS, ProcessingSettings, first_fault
from orograph.pipeline.superres.resolvers import takes_options

_WRITE_EVERY_S: Final = 2.0
# Positions of a run's stages between 0 and 1; by time spent, measured on the demo's tiles.
_SPANS: Final = {
    "fetch": (0.0, 0.05),
    "coregister": (0.05, 0.2),
    "windows": (0.2, 0.75),
    "export": (0.75, 0.95),
    "commit": (0.95, 1.0),
}

_log = logging.getLogger("orograph.service")


class JobPlanner(Protocol):
    """Plans an order: finds the sources' files over the tile and their ETags."""

    def __call__(self, tile: Tile, source_ids: tuple[str, ...], settings: ProcessingSettings) -> Job:
        """The job; no source ids means every catalogued source that reaches the tile.

        Raises:
            SourceUnknown, OutsideCoverage, SourceUnavailable and others of the error tree.
        """
        ...


SettingsOf = Callable[[Tile], ProcessingSettings]
"""The settings a tile is made with when a request changes none."""

Publisher = Callable[[Receipt], str]
"""Makes a finished run visible in the catalogue and returns the item's key; safe to call twice."""


def with_overrides(settings: ProcessingSettings, overrides: Mapping[str, Any]) -> ProcessingSettings:
    """Settings with the overrides of an order.

    A request for an interpolant or none resets the options of networks, and the device if no network uses it any more.

    Raises:
        ConfigError: a value is not allowed for its setting.
    """
    values = {**settings.model_dump(), **overrides}
    if "superres" in overrides and not takes_options(overrides["superres"]):
        defaults = {name: ProcessingSettings.model_fields[name].default for name in NETWORK_OPTIONS}
        values = {**values, **defaults, **overrides}
    try:
        found = ProcessingSettings.model_validate(values)
        if "bare_earth_precision" not in overrides and not has_bare_earth_network(found):
            found = found.model_copy(update={"bare_earth_precision": DEFAULT_PRECISION})
        return found if "device" in overrides or runs_on_device(found) else found.model_copy(update={"device": "cpu"})
    except ValidationError as error:
        raise ConfigError(first_fault(error)[:300]) from error


class Dismissed(BaseException):
    """Raised inside the engine to stop a dismissed run; a `BaseException`, so that no `except Exception` catches it."""


@dataclass(frozen=True, slots=True)
class Machinery:
    """Parts that run jobs.

    Attributes:
        engine: Runs one job at a time for each thread.
        runner: The function the engine runs.
        planner: Plans jobs again that were taken over from another service.
        publish: Called after a successful run.
        settings_for: Settings of a tile without a request's overrides.
    """

    engine: Engine
    runner: Runner[Job]
    planner: JobPlanner
    publish: Publisher
    settings_for: SettingsOf


class Dispatcher:
    """Feeds accepted jobs to the engine.

    Args:
        book: Job records.
        store: Store that contains the lease.
        machinery: Engine, runner, planner, publisher.
        workers: Number of jobs that run at once.
        limit: Largest number of waiting jobs.
        lease_s: Seconds without a sign of life after which a service loses its jobs.
    """

    def __init__(
        self, book: JobBook, store: Store, machinery: Machinery, *, workers: int, limit: int, lease_s: float
    ) -> None:
        self.owner = secrets.token_hex(8)
        self._book = book
        self._store = store
        self._machinery = machinery
        self._lease_s = lease_s
        self._leases = Leases(store, self.owner, lease_s)
        self.read_only = ""
        self._queue: queue.Queue[tuple[str, Job | Callable[[], Job]] | None] = queue.Queue(limit)
        self._mine: set[str] = set()
        self._unwanted: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"orograph-job-{i}", daemon=True) for i in range(workers)
        ]
        self._threads.append(threading.Thread(target=self._watch, name="orograph-lease", daemon=True))

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        return self._queue.qsize()

    def start(self) -> None:
        """Start the threads; they first take over unfinished jobs of services whose lease has expired."""
        try:
            self._leases.sign()
        except StoreUnwritable as error:
            self._reject_orders(error)
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Accept no more jobs, release the lease and wait up to `timeout_s` for threads; others take over the rest."""
        self._stopping.set()
        with self._lock:
            self._unwanted |= self._mine
        for _ in self._threads:
            try:
                self._queue.put_nowait(None)
            except queue.Full:
                break
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        try:
            if not self.read_only:
                self._leases.release()
        except OrographError as error:
            _log.warning("the lease could not be given back: %s", redacted(str(error)))

    def enqueue(self, id_: str, job: Job | Callable[[], Job]) -> bool:
        """Queue a job (or a function that plans it) whose record exists; False when the queue is full."""
        with self._lock:
            if id_ in self._mine:
                return True
            self._mine.add(id_)
            self._unwanted.discard(id_)
        try:
            self._queue.put_nowait((id_, job))
        except queue.Full:
            with self._lock:
                self._mine.discard(id_)
            return False
        return True

    def dismiss(self, id_: str) -> None:
        """Stop a job of this service if it waits or runs here."""
        with self._lock:
            if id_ in self._mine:
                self._unwanted.add(id_)

    def _work(self) -> None:
        while not self._stopping.is_set():
            entry = self._queue.get()
            if entry is None:
                return
            id_, job = entry
            try:
                self._run(id_, job)
            except Exception:  # noqa: BLE001 - the thread must outlive any job
                _log.exception("job %s could not be looked after", id_)
            finally:
                with self._lock:
                    self._mine.discard(id_)
                    self._unwanted.discard(id_)

    def _run(self, id_: str, work: Job | Callable[[], Job]) -> None:
        record = self._book.change(id_, lambda found: self._started(found) if self._is_ours(found) else None)
        if record is None or not self._is_ours(record) or self._is_unwanted(id_):
            return
        job = work if isinstance(work, Job) else self._planned(id_, record, work)
        if job is None or self._is_unwanted(id_):
            return
        progress = _Progress(self._book, record, lambda: self._is_unwanted(id_))
        try:
            outcomes = list(self._machinery.engine.run([job], self._machinery.runner, progress))
            outcome = outcomes[0]
            item_key = self._machinery.publish(outcome.receipt) if outcome.receipt else ""
        except Dismissed:
            # Either dismissed by its owner, whose request wrote the record, or left for adoption by a stop.
            return
        except OrographError as error:
            outcome, item_key = Outcome(job, Status.FAILED, error=error.at(tile=job.id)), ""
        except Exception as error:  # noqa: BLE001 - whatever happened, the record must end
            _log.exception("job %s failed unexpectedly", id_)
            message = f"unexpected {type(error).__name__}: {error}"
            outcome, item_key = Outcome(job, Status.FAILED, error=OrographError(message, tile=job.id)), ""
        self._book.change(id_, lambda found: _ended(found, outcome, item_key) if self._is_ours(found) else None)

    def _planned(self, id_: str, record: JobRecord, plan: Callable[[], Job]) -> Job | None:
        """The job of an order that was taken before its plan was ready; None when it cannot be planned."""
        self._book.show(record.changed(stage="plan", message="looking for source files"))
        try:
            return plan()
        except OrographError as error:
            failed = error.at(tile=record.tile, stage="plan")
        except Exception as error:  # noqa: BLE001 - whatever happened, the record must end
            _log.exception("job %s could not be planned", id_)
            failed = OrographError(f"unexpected {type(error).__name__}: {error}", tile=record.tile, stage="plan")
        self._book.change(id_, lambda found: None if found.status.is_final else _failed(found, failed))
        return None

    def _is_ours(self, record: JobRecord) -> bool:
        """Whether a job is unfinished and no other service has taken it up."""
        return not record.status.is_final and record.owner == self.owner

    def _started(self, record: JobRecord) -> JobRecord:
        return record.changed(
            status=JobStatus.RUNNING,
            started=now(),
            owner=self.owner,
            attempts=record.attempts + 1,
            message="running",
            stage="starting",
            progress=0.0,
        )

    def _is_unwanted(self, id_: str) -> bool:
        with self._lock:
            return id_ in self._unwanted

    def _watch(self) -> None:
        """Renew the lease and look for jobs of dead services, until stopped."""
        while True:
            try:
                self._leases.sign()
                self.read_only = ""
                self._adopt()
            except StoreUnwritable as error:
                self._reject_orders(error)
                self._see_others()
            except OrographError as error:
                _log.warning("lease or adoption failed: %s", redacted(str(error)))
            except Exception:  # noqa: BLE001 - the lease must go on
                _log.exception("lease or adoption failed")
            if self._stopping.wait(self._lease_s / 3):
                return

    def _reject_orders(self, error: OrographError) -> None:
        if not self.read_only:
            _log.warning("the store is read-only: it is served, and orders are rejected: %s", redacted(str(error)))
        self.read_only = redacted(error.message)

    def _see_others(self) -> None:
        """Keep the records of other services in view; nothing is adopted or forgotten."""
        try:
            for _ in self._book.refresh(forget=False):
                pass
        except OrographError as error:
            _log.warning("jobs cannot be listed: %s", redacted(str(error)))

    def _adopt(self) -> None:
        alive = {self.owner: True}
        for record in self._book.refresh():
            if self._stopping.is_set():
                return
            if record.owner not in alive:
                alive[record.owner] = self._leases.lives(record.owner)
            with self._lock:
                mine = record.id in self._mine
            if mine or (alive[record.owner] and record.owner != self.owner):
                continue
            if record.owner == self.owner and (now() - record.updated).total_seconds() < self._lease_s:
                continue  # accepted this moment, its request is about to queue it
            self._take(record)

    def _take(self, record: JobRecord) -> None:
        def claim(found: JobRecord) -> JobRecord | None:
            if found.status.is_final or found.owner != record.owner:
                return None
            return found.changed(owner=self.owner, status=JobStatus.ACCEPTED, message="taken up again")

        taken = self._book.change(record.id, claim)
        if taken is None or taken.owner != self.owner or taken.status.is_final:
            return
        try:
            tile = Tile.parse(record.tile)
            settings = with_overrides(self._machinery.settings_for(tile), record.overrides)
            job = self._machinery.planner(tile, record.sources, settings)
        except OrographError as error:
            failed = error
            self._book.change(record.id, lambda found: _failed(found, failed))
            return
        self.enqueue(record.id, job)


class _Progress:
    """Turns the engine's events into record changes: every one for watchers here, a few to the store."""

    def __init__(self, book: JobBook, record: JobRecord, is_unwanted: Callable[[], bool]) -> None:
        self._book = book
        self._record = record
        self._is_unwanted = is_unwanted
        self._written = time.monotonic()

    def __call__(self, event: Event) -> None:
        if self._is_unwanted():
            raise Dismissed
        stage, fraction = event.stage[:40], min(1.0, max(0.0, event.fraction))
        low, high = _SPANS.get(stage, (self._record.progress, self._record.progress))
        progress = low + (high - low) * fraction
        self._record = self._record.changed(stage=stage, progress=progress, message=f"{stage} {fraction:.0%}")
        if time.monotonic() - self._written < _WRITE_EVERY_S:
            self._book.show(self._record)
            return
        self._written = time.monotonic()
        shown = self._record
        try:
            kept = self._book.change(
                shown.id,
                lambda found: (
                    None
                    if found.status.is_final or found.owner != shown.owner
                    else shown.model_copy(update={"revision": max(found.revision, shown.revision) + 1})
                ),
            )
        except StoreError as error:
            _log.warning("progress of job %s was not kept: %s", shown.id, redacted(str(error)))
            return
        if kept is None or kept.status.is_final or kept.owner != shown.owner:
            raise Dismissed  # or taken up by another service, which believed this one dead
        self._record = kept


def _ended(record: JobRecord, outcome: Outcome, item_key: str) -> JobRecord:
    if outcome.receipt is None:
        return _failed(record, outcome.error or OrographError("the engine gave neither receipt nor error"))
    receipt = outcome.receipt
    figures = {
        "seconds": receipt.seconds,
        "cpu_seconds": receipt.cpu_seconds,
        "bytes_read": receipt.bytes_read,
        "bytes_written": receipt.bytes_written,
        "peak_rss_mb": receipt.peak_rss_mb,
    }
    return record.changed(
        status=JobStatus.SUCCESSFUL,
        finished=now(),
        progress=1.0,
        stage="done",
        message="up to date" if receipt.status is Status.UP_TO_DATE else "done",
        manifest_key=receipt.manifest_key,
        run_key=receipt.run_key,
        item_key=item_key,
        figures=figures,
        error=None,
    )


def _failed(record: JobRecord, error: OrographError) -> JobRecord:
    details = {name: redacted(value) if isinstance(value, str) else value for name, value in error.to_dict().items()}
    return record.changed(
        status=JobStatus.FAILED, finished=now(), message=redacted(error.message), error=details, stage=error.stage or ""
    )
