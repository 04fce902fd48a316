"""Routes of OGC API - Processes for jobs: list, status, results, dismissal, and progress as events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from orograph.infra.service.events import KEEPALIVE_S, Watcher, event, keepalive
from orograph.infra.service.execution import OUTPUTS, ResultForm
from orograph.infra.service.job_documents import link, result_links, status_document
from orograph.infra.service.job_filter import JobFilter
from orograph.infra.service.job_records import JobRecord, JobStatus, now
from orograph.infra.service.problem_documents import NO_SUCH_JOB, RESULT_NOT_READY, Problem, busy
from orograph.infra.service.service import Dismisser, Reader, Service, TheService, counted_as

router = APIRouter(tags=["jobs"])

_LOOK_AGAIN_S: Final = 1.0

JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="Id of a job.")]


@router.get("/jobs", summary="List of jobs")
async def jobs(
    request: Request,
    service: TheService,
    _caller: Reader,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    type_: Annotated[list[str] | None, Query(alias="type", description="Of jobs, `process` is the one.")] = None,
    process_id: Annotated[list[str] | None, Query(alias="processID", description="Processes.")] = None,
    status: Annotated[list[str] | None, Query(description="States, comma-separated.")] = None,
    datetime: Annotated[str | None, Query(description="RFC 3339 instant or interval of creation.")] = None,
    min_duration: Annotated[int | None, Query(alias="minDuration", ge=0, description="Seconds.")] = None,
    max_duration: Annotated[int | None, Query(alias="maxDuration", ge=0, description="Seconds.")] = None,
    tile: Annotated[str | None, Query(pattern=r"^E[0-9]{4}N[0-9]{4}$")] = None,
) -> dict[str, Any]:
    """Jobs, newest first, filtered by tile and by the filters of OGC API - Processes."""
    wanted = JobFilter.parse(type_, process_id, status, datetime, min_duration, max_duration, tile)
    records = [record for record in service.book.recent() if wanted.matches(record)]
    links = [link(request, "self", "/jobs", "Jobs")]
    if offset + limit < len(records):
        query = {name: value for name, value in request.query_params.items() if name not in {"limit", "offset"}}
        query |= {"limit": str(limit), "offset": str(offset + limit)}
        links.append(link(request, "next", "/jobs", "Older jobs", **query))
    page = records[offset : offset + limit]
    return {
        "jobs": [status_document(request, record) for record in page],
        "numberMatched": len(records),
        "numberReturned": len(page),
        "links": links,
    }


@router.get("/jobs/{job_id}", summary="Status of a job")
async def job(job_id: JobId, request: Request, service: TheService, _caller: Reader) -> Response:
    """Status of a job, with progress by stage."""
    record = await _record(service, job_id)
    return JSONResponse(status_document(request, record), headers={"Cache-Control": "no-store"})


@router.get(
    "/jobs/{job_id}/results",
    summary="Results of a job",
    responses={204: {"description": "Links in headers, where the order asked for `raw` results."}},
    response_class=JSONResponse,
)
async def results(job_id: JobId, request: Request, service: TheService, _caller: Reader) -> Response:
    """Links to the item and the manifest, in the form that the order requested."""
    record = await _record(service, job_id)
    return results_response(request, record, ResultForm(record.response, record.outputs or tuple(OUTPUTS)))


def results_response(
    request: Request, record: JobRecord, form: ResultForm, headers: dict[str, str] | None = None
) -> Response:
    """The results of a job that has ended.

    Raises:
        Problem: the job failed, or has no results (yet).
    """
    if record.status is JobStatus.FAILED:
        error = record.error or {}
        kind = f"urn:orograph:problem:{error.get('error', 'OrographError')}"
        members = {name: error[name] for name in ("tile", "source", "stage", "remedy") if error.get(name)}
        raise Problem(500, "Job Failed", record.message, kind=kind, **members)
    if record.status is not JobStatus.SUCCESSFUL:
        raise Problem(404, "Result Not Ready", f"the job is {record.status.value}", kind=RESULT_NOT_READY)
    found = result_links(request, record, form.outputs)
    if form.response == "document":
        return JSONResponse(found, headers=headers)
    answer = Response(status_code=204, headers=headers)
    for name, one in found.items():
        answer.headers.append("Link", f'<{one["href"]}>; rel="{name}"; type="{one["type"]}"')
    return answer


async def finished_within(service: Service, record: JobRecord, wait_s: float, caller: str) -> JobRecord:
    """Wait until the job ends, at most `wait_s`, and return its record; does not wait if too many requests wait."""
    watcher = service.broadcast.watch(record.id, caller) if wait_s > 0 and not record.status.is_final else None
    if watcher is None:
        return record
    deadline = time.monotonic() + wait_s
    try:
        # The job may have ended before it was watched.
        found = await asyncio.to_thread(service.book.get, record.id)
        record = found or record
        while not record.status.is_final and (left_s := deadline - time.monotonic()) > 0:
            heard = await watcher.next(min(_LOOK_AGAIN_S, left_s))
            if heard is None and record.owner != service.dispatcher.owner:
                heard = await asyncio.to_thread(service.book.get, record.id)
            record = heard or record
    finally:
        watcher.close()
    return record


@router.delete("/jobs/{job_id}", summary="Dismiss a job")
async def dismiss(job_id: JobId, request: Request, service: TheService, caller: Dismisser) -> Response:
    """Stop a job that waits or runs, or delete the record of one that has ended; published tiles stay.

    Only its caller and operators (keys with the scope `admin`) may do this.
    """
    record = await _record(service, job_id)
    if record.requested_by not in {caller.id, ""} and "admin" not in caller.scopes:
        raise Problem(403, "Forbidden", "another key ordered this job; a key with the scope 'admin' may dismiss it")
    if record.status.is_final:
        await asyncio.to_thread(service.book.forget, job_id)
        record = record.changed(status=JobStatus.DISMISSED, message="forgotten")
    else:
        service.dispatcher.dismiss(job_id)
        changed = await asyncio.to_thread(service.book.change, job_id, _dismissed)
        record = changed or record
    return JSONResponse(status_document(request, record), headers={"Cache-Control": "no-store"})


@router.get(
    "/jobs/{job_id}/events",
    summary="Progress of a job",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(job_id: JobId, request: Request, service: TheService, caller: Reader) -> Response:
    """Server-sent events named `status`, each a status document; the stream ends with the job."""
    record = await _record(service, job_id)
    watcher = service.broadcast.watch(job_id, counted_as(request, caller))
    if watcher is None:
        raise busy("many progress streams are open", 5)
    stream = _stream(request, service, record, watcher)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(keepalive(stream), media_type="text/event-stream", headers=headers)


async def _stream(request: Request, service: Service, record: JobRecord, watcher: Watcher) -> AsyncIterator[bytes]:
    quiet = 0.0
    try:
        yield _event(request, record)
        while not record.status.is_final:
            heard = await watcher.next(_LOOK_AGAIN_S)
            if heard is None and record.owner != service.dispatcher.owner:
                heard = await asyncio.to_thread(service.book.get, record.id)
            if heard is not None and (heard.revision > record.revision or heard.status.is_final):
                record, quiet = heard, 0.0
                yield _event(request, record)
                continue
            quiet += _LOOK_AGAIN_S
            if quiet >= KEEPALIVE_S:
                quiet = 0.0
                yield b": still here\n\n"
    finally:
        watcher.close()


def _event(request: Request, record: JobRecord) -> bytes:
    return event("status", record.revision, status_document(request, record))


async def _record(service: Service, job_id: str) -> JobRecord:
    record = await asyncio.to_thread(service.book.get, job_id)
    if record is None:
        raise Problem(404, "No Such Job", f"no job {job_id}", kind=NO_SUCH_JOB)
    return record


def _dismissed(record: JobRecord) -> JobRecord | None:
    if record.status.is_final:
        return None
    return record.changed(status=JobStatus.DISMISSED, finished=now(), message="dismissed")
