"""Turns a request into a job record, idempotent by content and by Idempotency-Key."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from orograph.infra.service.dispatcher import Dispatcher, JobPlanner, SettingsOf, with_overrides
from orograph.infra.service.job_records import JobBook, JobRecord, JobStatus, job_id, now
from orograph.infra.service.problem_documents import Problem, busy
from orograph.infra.service.published_tiles import Published
from orograph.infra.service.settings import ServiceSettings
from orograph.pipeline.core.grid import Tile
from orograph.pipeline.core.precision import Precision
from orograph.pipeline.errors import BadIdentifier
from orograph.pipeline.job import Job
from orograph.pipeline.manifest import canonical_json

_PLANS_KEPT: Final = 2000
_PLANNERS: Final = 8

SourceId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="Id of a catalogued source.")]
Method = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+._-]{0,79}$")]


class Overrides(BaseModel):
    """Processing settings a request may change; omitted ones keep the catalogue's values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coregistration: Method | None = Field(None, description="Method, such as `nuth-kaab` or `none`.")
    max_shift_m: float | None = Field(None, gt=0, le=1000, description="Largest believable horizontal shift, metres.")
    superres: Method | None = Field(None, description="`none`, an interpolant, or a registered model.")
    superres_ensemble: bool | None = Field(None, description="Mean with a second network; networks only.")
    superres_gate: bool | None = Field(None, description="Keep cubic where the gain is not significant; networks only.")
    superres_precision: Precision | None = Field(
        None, description="`fp32`, or `tf32`, `bf16` or `fp16` where the hardware convolves in it; networks only."
    )
    bare_earth: Method | None = Field(None, description="`none` or a registered model.")
    bare_earth_precision: Precision | None = Field(None, description="As `superres_precision`; networks only.")
    blend_width_m: float | None = Field(None, ge=0, le=10_000, description="Feather between sources, metres.")
    fill_max_m: float | None = Field(None, ge=0, le=10_000, description="Farthest fill, metres.")
    pixel_size_m: float | None = Field(None, ge=1, le=1000, description="Pixel of the tile, metres; it divides 50 km.")
    target_frame: Annotated[str, Field(pattern=r"^[A-Za-z0-9: .+-]{1,40}$")] | None = Field(
        None, description="Vertical frame of the heights, such as `EPSG:5621`."
    )


class Inputs(BaseModel):
    """Inputs of an order. Sources are named by id, because the service fetches no URL of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tile: Annotated[
        str,
        Field(
            pattern=r"^E[0-9]{4}N[0-9]{4}$",
            description="Tile id: south-west corner in kilometres of EPSG:3035.",
            examples=["E4300N2650"],
        ),
    ]
    sources: tuple[SourceId, ...] = Field(
        (), max_length=32, description="Sources to use; none given means all that reach the tile."
    )
    settings: Overrides = Overrides()


@dataclass(frozen=True, slots=True)
class Placed:
    """Result of an order: its record, whether it is new, whether the tile was already up to date."""

    record: JobRecord
    created: bool


class Orders:
    """Accepts orders of tiles: plans them, records them and queues their jobs.

    Args:
        settings: Bounds on queue and planning.
        settings_for: Settings of a tile.
        planner: Plans orders; plans are cached for a while, and equal simultaneous orders share one.
        book, dispatcher, published: Records, queue, and published tiles.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        settings_for: SettingsOf,
        planner: JobPlanner,
        book: JobBook,
        dispatcher: Dispatcher,
        published: Published,
    ) -> None:
        self._settings = settings
        self._settings_for = settings_for
        self._planner = planner
        self._book = book
        self._dispatcher = dispatcher
        self._published = published
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_PLANNERS, thread_name_prefix="orograph-plan")
        self._plans: dict[bytes, tuple[float, Future[Job]]] = {}

    def place(
        self,
        inputs: Inputs,
        caller: str,
        idempotency_key: str = "",
        response: str = "document",
        outputs: tuple[str, ...] = (),
    ) -> Placed:
        """Accept an order: return the record of an equal earlier order, or make a record and queue its job.

        Args:
            inputs: The order.
            caller: Id of the caller.
            idempotency_key: Orders with the same key are one job.
            response: Form of the job's results, `document` or `raw`.
            outputs: Names of the requested outputs; empty for all.

        Raises:
            Problem: 422 for a tile that cannot be made, 503 when planning or the queue is full.
        """
        if self._dispatcher.read_only:
            raise Problem(503, "Read-Only Store", "this service cannot write to its store and takes no orders")
        tile, sources, overrides = self._checked(inputs)
        plan = self._plan(tile, sources, overrides)
        try:
            job = plan.result(self._settings.plan_timeout_s)
        except FutureTimeoutError:
            # The sources take long to answer: the order is taken now and planned within its job.
            record = self._unplanned(tile, sources, overrides, caller, idempotency_key)
            record = record.model_copy(update={"response": response, "outputs": outputs})
            return self._placed_unplanned(record, plan, idempotency_key)
        id_ = job_id(job.run_key, idempotency_key, caller)
        known = self._book.known(id_) or self._book.get(id_)
        if known is not None and not self._is_stale(known, job, idempotency_key):
            return Placed(known, created=False)
        fresh = self._record(id_, job, overrides, caller)
        fresh = fresh.model_copy(update={"sources": sources, "response": response, "outputs": outputs})
        if known is not None:
            return self._again(known, fresh, job)
        if not fresh.status.is_final and self._dispatcher.waiting >= self._settings.queue_limit:
            raise busy("the queue of waiting tiles is full", 30)
        record, created = self._book.add(fresh)
        if created and not record.status.is_final:
            self._enqueue(record, job)
        return Placed(record, created)

    def planned(self, inputs: Inputs) -> tuple[Job, bool]:
        """Plan an order without queueing it; return the job and whether its tile is up to date.

        Raises:
            Problem: 422 for a tile that cannot be made, 504 when the sources do not respond in time.
        """
        tile, sources, overrides = self._checked(inputs)
        try:
            job = self._plan(tile, sources, overrides).result(10 * self._settings.plan_timeout_s)
        except FutureTimeoutError as error:
            raise Problem(504, "Gateway Timeout", "the sources take long to answer; try again") from error
        return job, self._published.run_key(tile) == job.run_key

    def _checked(self, inputs: Inputs) -> tuple[Tile, tuple[str, ...], dict[str, Any]]:
        try:
            tile = Tile.parse(inputs.tile)
        except BadIdentifier as error:
            raise Problem(422, "Bad identifier", error.message) from error
        sources = tuple(sorted(set(inputs.sources)))
        overrides = inputs.settings.model_dump(exclude_none=True)
        forbidden = sorted(set(overrides) - set(self._settings.allowed_overrides))
        if forbidden:
            raise Problem(403, "Forbidden", f"requests to this service may not change {', '.join(forbidden)}")
        return tile, sources, overrides

    def _unplanned(
        self, tile: Tile, sources: tuple[str, ...], overrides: dict[str, Any], caller: str, idempotency_key: str
    ) -> JobRecord:
        """Record of an order whose run key is not known yet; its id comes from the order."""
        moment = now()
        ordered = canonical_json([tile.id, sources, overrides, self._settings_for(tile).identity()]).decode()
        return JobRecord(
            id=job_id(ordered, idempotency_key, caller),
            tile=tile.id,
            sources=sources,
            overrides=overrides,
            run_key="",
            created=moment,
            updated=moment,
            owner=self._dispatcher.owner,
            requested_by=caller,
            message="waiting for its plan",
        )

    def _placed_unplanned(self, fresh: JobRecord, plan: Future[Job], idempotency_key: str) -> Placed:
        known = self._book.known(fresh.id) or self._book.get(fresh.id)
        if known is not None and (idempotency_key or not known.status.is_final or self._is_recent(known)):
            return Placed(known, created=False)
        if self._dispatcher.waiting >= self._settings.queue_limit:
            raise busy("the queue of waiting tiles is full", 30)
        return self._placed_as_new(fresh, plan.result) if known is None else self._again(known, fresh, plan.result)

    def _is_recent(self, record: JobRecord) -> bool:
        """Whether a job was successful so lately that its sources need not be looked at again."""
        if record.status is not JobStatus.SUCCESSFUL or record.finished is None:
            return False
        return (now() - record.finished).total_seconds() < self._settings.plan_fresh_s

    def _plan(self, tile: Tile, sources: tuple[str, ...], overrides: dict[str, Any]) -> Future[Job]:
        """The plan of an order, begun unless an equal one runs or ended a moment ago."""
        key = canonical_json([tile.id, sources, overrides])
        moment = time.monotonic()
        with self._lock:
            held = self._plans.get(key)
            if held and (moment - held[0] < self._settings.plan_fresh_s or not held[1].done()):
                future, ours = held[1], False
            else:
                future, ours = Future(), True
                if len(self._plans) >= _PLANS_KEPT:
                    self._plans.pop(next(iter(self._plans)))
                self._plans.pop(key, None)
                self._plans[key] = (moment, future)
        if ours:
            future.add_done_callback(lambda ended: self._plan_ended(key, ended))
            self._pool.submit(self._plan_into, future, tile, sources, overrides)
        return future

    def _plan_ended(self, key: bytes, plan: Future[Job]) -> None:
        """A plan is fresh from its end on, however long it took; one that failed is made again."""
        with self._lock:
            if key in self._plans and self._plans[key][1] is plan:
                if plan.exception() is None:
                    self._plans[key] = (time.monotonic(), plan)
                else:
                    self._plans.pop(key)

    def _plan_into(self, future: Future[Job], tile: Tile, sources: tuple[str, ...], overrides: dict[str, Any]) -> None:
        try:
            future.set_result(self._planner(tile, sources, with_overrides(self._settings_for(tile), overrides)))
        except BaseException as error:  # noqa: BLE001 - whoever waits for the plan gets its error
            future.set_exception(error)

    def _record(self, id_: str, job: Job, overrides: dict[str, Any], caller: str) -> JobRecord:
        moment = now()
        record = JobRecord(
            id=id_,
            tile=job.tile.id,
            overrides=overrides,
            run_key=job.run_key,
            created=moment,
            updated=moment,
            owner=self._dispatcher.owner,
            requested_by=caller,
            message="waiting",
        )
        if self._published.run_key(job.tile) != job.run_key:
            return record
        return record.changed(
            status=JobStatus.SUCCESSFUL,
            finished=moment,
            progress=1.0,
            stage="done",
            message="up to date",
            manifest_key=job.manifest_key,
            item_key=self._published.item_key(job.tile),
        )

    def _is_stale(self, record: JobRecord, job: Job, idempotency_key: str) -> bool:
        """Whether an equal order should be carried out again.

        An Idempotency-Key always means that very job. Otherwise a failed or dismissed job is tried again, and so is a
        finished one whose result was replaced since.
        """
        if idempotency_key or not record.status.is_final:
            return False
        if record.status is JobStatus.SUCCESSFUL:
            return self._published.run_key(job.tile) != job.run_key
        return True

    def _again(self, known: JobRecord, fresh: JobRecord, job: Job | Callable[[], Job]) -> Placed:
        def reopen(found: JobRecord) -> JobRecord | None:
            if found.revision != known.revision or not found.status.is_final:
                return None
            return fresh.model_copy(update={"revision": found.revision + 1, "attempts": found.attempts})

        record = self._book.change(known.id, reopen)
        if record is None:
            return self._placed_as_new(fresh, job)
        ours = record.created == fresh.created and record.owner == self._dispatcher.owner
        if ours and not record.status.is_final:
            self._enqueue(record, job)
        return Placed(record, created=ours)

    def _placed_as_new(self, fresh: JobRecord, job: Job | Callable[[], Job]) -> Placed:
        record, created = self._book.add(fresh)
        if created and not record.status.is_final:
            self._enqueue(record, job)
        return Placed(record, created)

    def _enqueue(self, record: JobRecord, job: Job | Callable[[], Job]) -> None:
        if not self._dispatcher.enqueue(record.id, job):
            self._book.forget(record.id)
            raise busy("the queue of waiting tiles is full", 30)
