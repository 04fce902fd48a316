"""OGC API - Processes, part 1: the landing page, the conformance classes, and the only process."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import FileResponse, JSONResponse, Response

from orograph.infra.service.execution import OUTPUTS, Execute, Preference
from orograph.infra.service.job_documents import link, status_document
from orograph.infra.service.job_filter import PROCESS_ID
from orograph.infra.service.job_records import JobRecord
from orograph.infra.service.jobs import finished_within, results_response
from orograph.infra.service.orders import Inputs, Overrides
from orograph.infra.service.problem_documents import NO_SUCH_PROCESS, Problem
from orograph.infra.service.service import Orderer, Reader, TheService, counted_as
from orograph.infra.service.static import PAGE
from orograph.pipeline.version import __version__
from orograph.stac.serving.openapi30 import OPENAPI30_TYPE

router = APIRouter(tags=["processes"])


def known_process(process_id: str) -> str:
    """Reject ids of processes that do not exist, before the body of an order is parsed.

    Raises:
        Problem: 404.
    """
    if process_id != PROCESS_ID:
        raise Problem(404, "No Such Process", f"the only process is {PROCESS_ID}", kind=NO_SUCH_PROCESS)
    return process_id


KnownProcess = Annotated[str, Depends(known_process)]

CONFORMS_TO: Final = (
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/ogc-process-description",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/job-list",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/dismiss",
)
_IDEMPOTENCY: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)


@router.get("/", summary="Landing page", response_model=None)
async def landing(
    request: Request,
    f: Annotated[str, Query(pattern="^(json|html)?$", description="Format: `json` or `html`.")] = "",
) -> Response:
    """The map page for clients that accept HTML, links for others."""
    wants_page = f == "html" or (not f and "text/html" in request.headers.get("accept", ""))
    if wants_page:
        return FileResponse(PAGE, headers={"Cache-Control": "no-cache", "Vary": "Accept"})
    document = {
        "title": "Orograph",
        "description": "European terrain, tile by tile: published tiles, and a process that makes a tile again.",
        "version": __version__,
        "links": [
            link(request, "self", "/", "This document", f="json"),
            link(request, "alternate", "/", "The map", "text/html", f="html"),
            link(request, "service-desc", "/openapi.json", "OpenAPI", OPENAPI30_TYPE),
            link(request, "http://www.opengis.net/def/rel/ogc/1.0/conformance", "/conformance", "Conformance"),
            link(request, "http://www.opengis.net/def/rel/ogc/1.0/processes", "/processes", "Processes"),
            link(request, "http://www.opengis.net/def/rel/ogc/1.0/job-list", "/jobs", "Jobs"),
            link(request, "child", "/files/stac/catalog.json", "STAC catalogue"),
            link(request, "search", "/stac/", "STAC API"),
        ],
    }
    return JSONResponse(document, headers={"Vary": "Accept", "Cache-Control": "no-cache"})


@router.get("/conformance", summary="Conformance classes")
async def conformance(_caller: Reader) -> dict[str, Any]:
    """The conformance classes of OGC API - Processes this service implements."""
    return {"conformsTo": list(CONFORMS_TO)}


@router.get("/processes", summary="List of processes")
async def processes(
    request: Request, _caller: Reader, limit: Annotated[int, Query(ge=1, le=1000, description="Processes.")] = 100
) -> dict[str, Any]:
    """The list of processes, which has one entry."""
    return {"processes": [_summary(request)][:limit], "links": [link(request, "self", "/processes", "Processes")]}


@router.get("/processes/{process_id}", summary="Description of a process")
async def process(
    process_id: KnownProcess,  # noqa: ARG001 - checked by its dependency
    request: Request,
    service: TheService,
    _caller: Reader,
) -> dict[str, Any]:
    """Inputs and outputs of the process, with JSON schemas."""
    return {
        **_summary(request),
        "inputs": _inputs(service.settings.allowed_overrides),
        "outputs": {
            "item": {
                "title": "The published tile",
                "description": "Link to the STAC item of the tile.",
                "schema": {"type": "object", "contentMediaType": OUTPUTS["item"]},
            },
            "manifest": {
                "title": "Manifest",
                "description": "Link to the record of the run: sources, operations, quality, checksums.",
                "schema": {"type": "object", "contentMediaType": OUTPUTS["manifest"]},
            },
        },
    }


@router.post(
    "/processes/{process_id}/execution",
    status_code=201,
    summary="Have a tile made again",
    responses={
        200: {"description": "The results; or, of an asynchronous request, the job that is there already."},
        204: {"description": "The results as Link headers, where `response` is `raw`."},
    },
)
async def execute(
    process_id: KnownProcess,  # noqa: ARG001 - checked by its dependency
    body: Execute,
    request: Request,
    service: TheService,
    caller: Orderer,
    idempotency_key: Annotated[str | None, Header(description="Repeats with this key are the same job.")] = None,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Queue a tile. Equal orders are one job; for a tile that is up to date the response is its item.

    With `Prefer: respond-async` the response is the job. Otherwise the request waits for the results, as long as `wait`
    or the service allows; after that the response is the job with status 201.
    """
    preference = Preference.parse(request.headers.get("prefer", ""), service.settings.sync_wait_s)
    # A foreign page can send a form without asking first, but never this type.
    if content_type.split(";")[0].strip().lower() != "application/json":
        raise Problem(415, "Unsupported Media Type", "send application/json")
    if idempotency_key is not None and not _IDEMPOTENCY.fullmatch(idempotency_key):
        raise Problem(422, "Unprocessable Request", "Idempotency-Key: 1 to 128 visible ASCII characters")
    placed = await to_thread.run_sync(
        service.orders.place, body.inputs, caller.id, idempotency_key or "", body.form.response, body.form.outputs
    )
    record = await finished_within(service, placed.record, preference.wait_s, counted_as(request, caller))
    if preference.wait_s and record.status.is_final and preference.applied != "respond-async":
        return results_response(request, record, body.form, _headers(request, record, preference))
    status = 201 if placed.created and not placed.record.status.is_final else 200
    if not preference.applied and not record.status.is_final:
        status = 201
    return JSONResponse(
        status_document(request, record), status_code=status, headers=_headers(request, record, preference)
    )


def _headers(request: Request, record: JobRecord, preference: Preference) -> dict[str, str]:
    headers = {"Location": link(request, "", f"/jobs/{record.id}", "")["href"], "Cache-Control": "no-store"}
    return {**headers, "Preference-Applied": preference.applied} if preference.applied else headers


def _summary(request: Request) -> dict[str, Any]:
    return {
        "id": PROCESS_ID,
        "version": __version__,
        "title": "Make a tile again",
        "description": (
            "Makes a 50 km tile of EPSG:3035 from catalogued sources and publishes it. "
            "Equal orders are one job; nothing is computed when the tile is up to date. A tile takes minutes: "
            "ask with `Prefer: respond-async` and follow the job."
        ),
        "jobControlOptions": ["sync-execute", "async-execute", "dismiss"],
        "outputTransmission": ["reference"],
        "links": [
            link(request, "self", f"/processes/{PROCESS_ID}", "Description"),
            link(
                request,
                "http://www.opengis.net/def/rel/ogc/1.0/execute",
                f"/processes/{PROCESS_ID}/execution",
                "Execution",
            ),
        ],
    }


def _inputs(allowed: tuple[str, ...]) -> dict[str, Any]:
    schema = Inputs.model_json_schema()["properties"]
    settings = Overrides.model_json_schema()
    settings["properties"] = {name: value for name, value in settings["properties"].items() if name in allowed}
    return {
        "tile": {"title": "Tile", "schema": schema["tile"]},
        "sources": {"title": "Sources", "minOccurs": 0, "schema": schema["sources"]},
        "settings": {"title": "Settings to change", "minOccurs": 0, "schema": settings},
    }
