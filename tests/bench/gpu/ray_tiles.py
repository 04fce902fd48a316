"""Whole tiles by Ray actors that share the card: tiles per minute, GPU busy, and the same tiles without a GPU."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from affine import Affine

from orograph.infra.engines.protocol import Receipt, Status
from orograph.infra.engines.ray import RayEngine, RayOptions
from orograph.infra.engines.schedule import Policy
from orograph.infra.runs.request import Request
from orograph.infra.runs.run import execute_plan
from orograph.pipeline.settings import ProcessingSettings, RunSettings
from tests.bench.gpu.accuracy import raster
from tests.bench.gpu.context import Context, terrain
from tests.support.made import source

ACTORS = (1, 2, 4)
SAMPLE_S = 0.05
WEST_M, SOUTH_M = 4_200_000, 3_000_000


def measure(context: Context) -> None:
    """Run the same tiles with 1, 2 and 4 actors per GPU, and with as many workers on the processor."""
    cuda = context.device.startswith("cuda")
    tiles = 1 if context.small else 8
    catalogue = _catalogue(context, tiles)
    for actors in ACTORS[:1] if context.small else ACTORS:
        context.record(f"{actors} per GPU", _run(context, catalogue, tiles, actors, "cuda" if cuda else "cpu"))
    if cuda:
        for workers in (4, 16):
            if context.left_s < 40:
                break
            context.record(f"{workers} on the processor", _run(context, catalogue, tiles, workers, "cpu"))


def _run(context: Context, catalogue: Path, tiles: int, actors: int, device: str) -> dict[str, Any]:
    """One run, every tile of it made; the first of each actor pays for imports and is part of the time."""
    folder = context.folder / f"run-{device}-{actors}"
    folder.mkdir()
    pixel_m = 50.0 if context.small else 10.0
    processing = ProcessingSettings(
        pixel_size_m=pixel_m, superres="superres-xs" if context.small else "superres-s", device=device, fill_max_m=0.0
    )
    share = 1.0 / actors if device == "cuda" else 0.0
    settings = RunSettings.with_flags(store=str(folder / "store"), grids_dir=folder / "grids", engine="ray")
    names = [f"E{WEST_M // 1000 + 50 * k:04d}N{SOUTH_M // 1000:04d}" for k in range(tiles)]
    plan = Request(catalogue=catalogue, tiles=tuple(names)).plan(processing, settings)
    engine = RayEngine(RayOptions(address="local", workers=actors, gpus_per_worker=share), Policy(attempts=1))
    with _busy(device == "cuda") as samples:
        begun = time.perf_counter()
        outcomes = execute_plan(plan, engine, settings, as_json=True)
        wall_s = time.perf_counter() - begun
    done = [outcome for outcome in outcomes if outcome.status is Status.DONE]
    row: dict[str, Any] = {"wall_s": wall_s, "done": len(done), "tiles_per_minute": 60.0 * len(done) / wall_s}
    row["errors"] = [str(outcome.error)[:300] for outcome in outcomes if outcome.error is not None][:2]
    if samples:
        # Actors start and end outside the run's middle.
        middle = samples[len(samples) // 4 : -len(samples) // 8 or None]
        row |= {"gpu_busy": statistics.mean(middle) / 100.0, "gpu_busy_whole_run": statistics.mean(samples) / 100.0}
    row["stages"] = _stages([outcome.receipt for outcome in done if outcome.receipt is not None])
    return row


def _stages(receipts: list[Receipt]) -> dict[str, dict[str, float]]:
    """Mean wall and CPU seconds per stage."""
    names = sorted({name for receipt in receipts for name in receipt.seconds})
    return {
        name: {
            "wall_s": statistics.mean(receipt.seconds.get(name, 0.0) for receipt in receipts),
            "cpu_s": statistics.mean(receipt.cpu_seconds.get(name, 0.0) for receipt in receipts),
        }
        for name in names
    }


@contextlib.contextmanager
def _busy(wanted: bool) -> Iterator[list[float]]:
    """Utilisation by NVML while the context lasts, per cent; empty without NVML."""
    samples: list[float] = []
    if not wanted:
        yield samples
        return
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    except Exception:  # noqa: BLE001 - a machine without NVML has no samples
        yield samples
        return
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_S):
            samples.append(float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def _catalogue(context: Context, tiles: int) -> Path:
    """Real heights where the bundle brings them, on a 30 m grid over whole tiles, mirrored to fill them."""
    pixel = 150 if context.small else 30
    rows, cols = (50_000 + 4_000) // pixel, (50_000 * tiles + 4_000) // pixel
    heights = raster(context.rasters / "coarse.tif")
    heights = terrain(400, 400) if heights is None else np.where(np.isfinite(heights), heights, 0.0)
    pads = [(0, max(0, want - have)) for want, have in zip((rows, cols), heights.shape, strict=True)]
    filled = np.pad(heights, pads, mode="symmetric")[:rows, :cols].astype(np.float32)
    path = context.folder / "coarse-30m.tif"
    affine = Affine(pixel, 0, WEST_M - 2_000, 0, -pixel, SOUTH_M + 52_000)
    profile = {"driver": "GTiff", "width": cols, "height": rows, "count": 1, "dtype": "float32", "crs": "EPSG:3035"}
    with rasterio.open(
        path,
        "w",
        transform=affine,
        nodata=-9999.0,
        tiled=True,
        compress="deflate",
        num_threads=os.cpu_count(),
        **profile,
    ) as dataset:
        dataset.write(filled, 1)
    own = source(path, id="coarse", resolution_m=float(pixel), accuracy_m=4.0)
    listed = context.folder / "catalogue.yaml"
    listed.write_text(yaml.safe_dump({"sources": [json.loads(own.model_dump_json(exclude_none=True))]}))
    return listed
