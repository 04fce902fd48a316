"""OGC API - Processes status documents of job records, and links."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from orograph.infra.service.execution import OUTPUTS, OutputName
from orograph.infra.service.job_filter import JOB_TYPE, PROCESS_ID
from orograph.infra.service.job_records import JobRecord, JobStatus


def link(
    request: Request, rel: str, path: str, title: str, media_type: str = "application/json", **query: str
) -> dict[str, str]:
    """A link that starts with the public address of this service."""
    base = str(request.base_url).rstrip("/")
    href = f"{base}{path}" + (f"?{urlencode(query)}" if query else "")
    document = {"href": href, "rel": rel, "type": media_type}
    return {**document, "title": title} if title else document


def status_document(request: Request, record: JobRecord) -> dict[str, Any]:
    """The status document of a job, with links; links to results if there are any."""
    links = [
        link(request, "self", f"/jobs/{record.id}", "This job"),
        link(request, "monitor", f"/jobs/{record.id}/events", "Progress", "text/event-stream"),
    ]
    if record.status is JobStatus.SUCCESSFUL:
        links.append(
            link(request, "http://www.opengis.net/def/rel/ogc/1.0/results", f"/jobs/{record.id}/results", "Results")
        )
        links.extend(result_links(request, record).values())
    document = {
        "jobID": record.id,
        "processID": PROCESS_ID,
        "type": JOB_TYPE,
        "status": record.status.value,
        "message": record.message,
        "progress": round(record.progress * 100),
        "stage": record.stage,
        "created": _text(record.created),
        "started": _text(record.started),
        "finished": _text(record.finished),
        "updated": _text(record.updated),
        "tile": record.tile,
        "runKey": record.run_key,
        "attempts": record.attempts,
        "error": record.error,
        "figures": record.figures or None,
        "links": links,
    }
    return {name: value for name, value in document.items() if value is not None}


def result_links(
    request: Request, record: JobRecord, outputs: tuple[OutputName, ...] = tuple(OUTPUTS)
) -> dict[str, dict[str, str]]:
    """Links to a job's results by output."""
    found = {}
    if record.item_key:
        found["item"] = link(
            request, "item", f"/files/{record.item_key}", f"Tile {record.tile}", "application/geo+json"
        )
    if record.manifest_key:
        found["manifest"] = link(request, "describedby", f"/files/{record.manifest_key}", "Manifest")
    return {name: found[name] for name in outputs if name in found}


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
