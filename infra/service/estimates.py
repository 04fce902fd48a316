"""Memory, time and cost of an order, from its plan and from earlier tiles of this service."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any, Final

import orjson
from fastapi import APIRouter

from orograph.infra.reporting.run_record import ROOT, latest_run
from orograph.infra.service.job_records import JobRecord, JobStatus
from orograph.infra.service.orders import Inputs
from orograph.infra.service.processes import known_process
from orograph.infra.service.service import Orderer, Service, TheService
from orograph.infra.stores.base import Store
from orograph.pipeline.bare_earth.filters import FILTERS
from orograph.pipeline.core.bundled_weights import bundled_index
from orograph.pipeline.core.grid import pixels_per_tile
from orograph.pipeline.job import Job
from orograph.pipeline.settings import RunSettings
from orograph.pipeline.superres.resolvers import resolver_names
from orograph.pipeline.tile.memory import projected_peak_bytes
from orograph.pipeline.vertical import VerticalCatalogue

router = APIRouter(tags=["processes"])

PIXEL_SIZES_M: Final = (1.0, 2.0, 5.0, 10.0, 12.5, 20.0, 25.0, 50.0)
_JOBS_LOOKED_AT: Final = 50


@router.get("/processes/{process_id}/choices", summary="Values that settings of an order may have")
async def choices(process_id: str, service: TheService, _caller: Orderer) -> dict[str, Any]:
    """Allowed values (models, vertical frames, pixel sizes) of each setting that an order may change."""
    known_process(process_id)
    frames = VerticalCatalogue.load().frames
    every: dict[str, list[dict[str, Any]]] = {
        "superres": [{"value": name, "title": name} for name in ("none", *resolver_names())],
        "bare_earth": [
            {"value": name, "title": name} for name in ("none", "auto", *FILTERS, *sorted(bundled_index("bare-earth")))
        ],
        "pixel_size_m": [{"value": size, "title": f"{size:g} m"} for size in PIXEL_SIZES_M],
        "target_frame": [
            {"value": id_, "title": f"{frame.name} ({id_})"} for id_, frame in frames.items() if not frame.dynamic
        ],
    }
    allowed = set(service.settings.allowed_overrides)
    return {name: values for name, values in every.items() if name in allowed}


@router.post("/processes/{process_id}/estimate", summary="Estimate of an order")
async def estimate(process_id: str, inputs: Inputs, service: TheService, _caller: Orderer) -> dict[str, Any]:
    """Memory, seconds and cost of an order; nothing is queued.

    `seconds` is null before the first tile; `basis` names the tiles from which it was scaled by number of pixels.
    """
    known_process(process_id)
    job, is_up_to_date = await asyncio.to_thread(service.orders.planned, inputs)
    seconds, basis = await asyncio.to_thread(_seconds, service, job)
    price = RunSettings().price_per_worker_hour
    return {
        "tile": job.tile.id,
        "sources": [ref.source.id for ref in job.sources],
        "upToDate": is_up_to_date,
        "pixels": pixels_per_tile(job.settings.pixel_size_m) ** 2,
        "memory_mb": round(projected_peak_bytes(job) / 2**20),
        "seconds": seconds,
        "basis": basis,
        "cost": round(seconds / 3600 * price, 4) if price and seconds is not None else None,
        "settings": {
            name: getattr(job.settings, name) for name in ("superres", "bare_earth", "pixel_size_m", "target_frame")
        },
    }


def _seconds(service: Service, job: Job) -> tuple[float | None, str]:
    """Estimated seconds of a tile, and the tiles the estimate is based on."""
    pixels = pixels_per_tile(job.settings.pixel_size_m) ** 2
    base = service.parts.settings_for(job.tile)
    alike = []
    for record in service.book.recent()[:_JOBS_LOOKED_AT]:
        taken = _taken_s(record)
        if taken is None:
            continue
        settings = {**base.model_dump(), **record.overrides}
        if all(settings[name] == getattr(job.settings, name) for name in ("superres", "bare_earth")):
            alike.append(taken * pixels / pixels_per_tile(settings["pixel_size_m"]) ** 2)
    if alike:
        return round(statistics.median(alike), 1), f"{len(alike)} orders with the same models"
    median = _run_median_s(service.published.store)
    if median is None:
        return None, "no tile was made here yet"
    scaled = median * pixels / pixels_per_tile(base.pixel_size_m) ** 2
    changed = any(getattr(base, name) != getattr(job.settings, name) for name in ("superres", "bare_earth"))
    return round(scaled, 1), "the last run" + (", which used other models" if changed else "")


def _taken_s(record: JobRecord) -> float | None:
    if record.status is not JobStatus.SUCCESSFUL or record.started is None or record.finished is None:
        return None
    return (record.finished - record.started).total_seconds()


def _run_median_s(store: Store) -> float | None:
    """Median seconds of a tile in the last run that left a report."""
    name = latest_run(store)
    if name is None:
        return None
    try:
        report = orjson.loads(store.get(f"{ROOT}/{name}/report.json"))
    except (KeyError, orjson.JSONDecodeError):
        return None
    found = report.get("tile_seconds", {}).get("median")
    return None if found is None else float(found)
