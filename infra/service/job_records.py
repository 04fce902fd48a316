"""Job records: orders and their outcomes, stored so that they survive the service.

A record is one small JSON object, `service/jobs/<id>.json`, made by put-if-absent and changed by compare-and-swap.
The id is a hash of the run key and of the caller's Idempotency-Key, so that equal orders share one record on any
replica.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orograph.infra.stores.base import Store
from orograph.pipeline.errors import CatalogueError, ObjectExists, PreconditionFailed

PREFIX: Final = "service/jobs/"
_SWAPS: Final = 20


class JobStatus(StrEnum):
    """States of a job in OGC API - Processes."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    DISMISSED = "dismissed"

    @property
    def is_final(self) -> bool:
        """True when the job has ended: the state cannot change any more."""
        return self in {JobStatus.SUCCESSFUL, JobStatus.FAILED, JobStatus.DISMISSED}


class JobRecord(BaseModel):
    """One order.

    Attributes:
        id: 32 hexadecimal digits.
        tile, sources, overrides: The order; without sources, all that cover the tile.
        response, outputs: Form of the results, `document` or `raw`, and names of the requested outputs; empty for all.
        run_key: Run key of the planned job.
        progress: 0 to 1 over all stages.
        owner: The service process that runs it.
        requested_by: The first caller; only this caller may dismiss it.
        item_key: Key of the published item, if there is one.
        error: The error's JSON-ready values, redacted.
        figures: Statistics of the run: seconds by stage, bytes, memory.
        revision: Number of changes, so that watchers receive each one once.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    tile: str
    sources: tuple[str, ...] = ()
    overrides: dict[str, Any] = Field(default_factory=dict)
    response: Literal["document", "raw"] = "document"
    outputs: tuple[Literal["item", "manifest"], ...] = ()
    run_key: str
    status: JobStatus = JobStatus.ACCEPTED
    stage: str = ""
    progress: float = Field(default=0.0, ge=0, le=1)
    message: str = ""
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    updated: datetime
    attempts: int = 0
    owner: str = ""
    requested_by: str = ""
    item_key: str = ""
    manifest_key: str = ""
    error: dict[str, Any] | None = None
    figures: dict[str, Any] = Field(default_factory=dict)
    revision: int = 0

    @property
    def key(self) -> str:
        """Key of the record in the store."""
        return f"{PREFIX}{self.id}.json"

    def changed(self, **updates: Any) -> Self:
        """Return a copy with other values, a new time of change and the next revision."""
        return self.model_copy(update={"updated": now(), "revision": self.revision + 1, **updates})

    def to_bytes(self) -> bytes:
        """JSON."""
        return self.model_dump_json(exclude_defaults=True).encode()


def now() -> datetime:
    """The current time, UTC, in whole milliseconds."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def job_id(run_key: str, idempotency_key: str = "", caller: str = "") -> str:
    """Id of an order; an Idempotency-Key is specific to its caller."""
    document = [run_key, idempotency_key, caller] if idempotency_key else [run_key]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:32]


class JobBook:
    """The records of a store, with a cache of recent ones in memory.

    Args:
        store: Store that contains the records.
        on_change: Called with every change by this process.
        retention: Age at which `refresh` deletes finished records.
    """

    def __init__(
        self, store: Store, on_change: Callable[[JobRecord], None], retention: timedelta = timedelta(days=30)
    ) -> None:
        self._store = store
        self._on_change = on_change
        self._retention = retention
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[str, JobRecord]] = {}

    def add(self, record: JobRecord) -> tuple[JobRecord, bool]:
        """Store a new record unless one with its id exists; return the stored record and whether it is new."""
        try:
            info = self._store.put(record.key, record.to_bytes(), if_absent=True, media_type="application/json")
        except ObjectExists:
            return self.get(record.id) or record, False
        self._remember(info.etag, record)
        return record, True

    def known(self, id_: str) -> JobRecord | None:
        """The cached record, without a request to the store."""
        with self._lock:
            found = self._seen.get(id_)
        return found[1] if found else None

    def get(self, id_: str) -> JobRecord | None:
        """The stored record, or the cached one if that is newer; None if it does not exist."""
        kept = self._load(f"{PREFIX}{id_}.json")
        if kept is None:
            return None
        record, etag = kept
        return self._note(etag, record)

    def change(self, id_: str, how: Callable[[JobRecord], JobRecord | None]) -> JobRecord | None:
        """Change a record by compare-and-swap and return the stored record; `how` returns None for no change."""
        key = f"{PREFIX}{id_}.json"
        for _ in range(_SWAPS):
            kept = self._load(key)
            if kept is None:
                return None
            present, etag = kept
            wanted = how(present)
            if wanted is None:
                self._remember(etag, present)
                return present
            wanted = wanted.model_copy(update={"revision": max(wanted.revision, self._revision(id_) + 1)})
            try:
                written = self._store.put(key, wanted.to_bytes(), if_match=etag, media_type="application/json")
            except PreconditionFailed:
                continue
            self._remember(written.etag, wanted)
            return wanted
        raise CatalogueError(f"job {id_} was changed by others {_SWAPS} times in a row")

    def show(self, record: JobRecord) -> None:
        """Change a record in this process only, such as progress between two writes."""
        with self._lock:
            etag = self._seen.get(record.id, ("", record))[0]
            self._seen[record.id] = (etag, record)
        self._on_change(record)

    def forget(self, id_: str) -> None:
        """Remove a record."""
        self._store.delete(f"{PREFIX}{id_}.json")
        with self._lock:
            self._seen.pop(id_, None)

    def recent(self) -> list[JobRecord]:
        """The cached records, newest first."""
        with self._lock:
            records = [record for _, record in self._seen.values()]
        return sorted(records, key=lambda record: (record.created, record.id), reverse=True)

    def refresh(self, *, forget: bool = True) -> Iterator[JobRecord]:
        """Read others' changes, delete old records if `forget`, and yield every unfinished record."""
        listed = {info.key: info.etag for info in self._store.list(PREFIX)}
        oldest = now() - self._retention
        with self._lock:
            known = {record.key: (etag, record) for etag, record in self._seen.values()}
        for key, etag in listed.items():
            seen = known.get(key)
            record = seen[1] if seen and seen[0] == etag else self.get(key.removeprefix(PREFIX).removesuffix(".json"))
            if record is None:
                continue
            if record.status.is_final and record.updated < oldest:
                if forget:
                    self.forget(record.id)
            elif not record.status.is_final:
                yield record
        gone = [record.id for key, (_, record) in known.items() if key not in listed]
        with self._lock:
            for id_ in gone:
                self._seen.pop(id_, None)

    def _load(self, key: str) -> tuple[JobRecord, str] | None:
        """Record and ETag; the ETag is read first, so a change in between only makes a swap fail."""
        info = self._store.head(key)
        if info is None:
            return None
        try:
            return JobRecord.model_validate_json(self._store.get(key)), info.etag
        except KeyError:
            return None
        except ValidationError as error:
            raise CatalogueError(f"{key} is not a job record: {error.error_count()} faults") from error

    def _revision(self, id_: str) -> int:
        """The last revision shown here: progress between two writes counts on in memory."""
        known = self.known(id_)
        return known.revision if known else -1

    def _note(self, etag: str, record: JobRecord) -> JobRecord:
        with self._lock:
            before = self._seen.get(record.id)
            ahead = before is not None and before[1].revision > record.revision and not record.status.is_final
            if before is not None and ahead:
                return before[1]
            self._seen[record.id] = (etag, record)
        return record

    def _remember(self, etag: str, record: JobRecord) -> None:
        with self._lock:
            self._seen[record.id] = (etag, record)
        self._on_change(record)
