"""Routes for operators: liveness, readiness and Prometheus metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from orograph.infra.service.service import Reader, TheService

router = APIRouter(tags=["operations"])


@router.get("/livez", summary="Whether the process answers")
async def livez() -> dict[str, str]:
    """Liveness probe; reads neither store nor jobs."""
    return {"status": "ok"}


@router.get("/readyz", summary="Whether the store answers", responses={503: {"description": "It does not."}})
async def readyz(service: TheService) -> JSONResponse:
    """Readiness probe, also for load balancers."""
    fault = await service.readiness.fault()
    store = "unavailable" if fault else "read-only" if service.dispatcher.read_only else "writable"
    document: dict[str, Any] = {"status": "unavailable" if fault else "ok", "store": store}
    if fault:
        document["detail"] = fault
    return JSONResponse(document, status_code=503 if fault else 200, headers={"Cache-Control": "no-store"})


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def metrics(service: TheService, _caller: Reader) -> Response:
    """Prometheus metrics; requires a key where `auth` is `all`, as all reading does."""
    text = service.numbers.text(
        service.book.recent(),
        waiting=service.dispatcher.waiting,
        streams=service.broadcast.open,
        read_only=bool(service.dispatcher.read_only),
    )
    return Response(text, media_type=CONTENT_TYPE_LATEST)
