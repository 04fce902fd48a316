"""Every network on the device against the processor: heights, and the gain over cubic interpolation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio

from orograph.pipeline.bare_earth.model import bare_earth_names
from orograph.pipeline.bare_earth.remove import bare_earth, pixel_sizes_m
from orograph.pipeline.superres import resolver
from orograph.pipeline.superres.interpolants import Interpolant
from tests.bench.gpu.context import Context, terrain

NETWORKS = ("superres-xs", "superres-s", "superres-s-free", "superres-s-fold", "superres-s-free-fold")
HEIGHTS_M = 1e-3
"""Largest root mean square difference of heights, metres."""
POINTS = 0.05
"""Largest difference of the gain, percentage points."""


def measure(context: Context) -> None:
    """Record differences by network, precision and ensemble, and whether they are within the limits."""
    fine = _truth(context)
    coarse = np.ascontiguousarray(fine[1::3, 1::3])
    cubic, _ = Interpolant("gdal-cubic")(coarse, factor=3)
    names = NETWORKS[:1] if context.small else NETWORKS
    for name in names:
        for options in ({}, {"ensemble": True}, {"precision": "tf32"}, {"precision": "bf16"})[
            : 1 if context.small else None
        ]:
            here, there = (resolver(name, device=d, **options)(coarse)[0] for d in ("cpu", context.device))
            context.record(
                f"{name} {options or ''}".strip(), _compared(fine, cubic, here, there, exact="precision" not in options)
            )
            if context.left_s < 0:
                return
    for name in bare_earth_names()[: 1 if context.small else None]:
        side = 160 if context.small else 900
        surface, size_m = _surface(context, name, side), pixel_sizes_m(name)[0]
        here, there = (bare_earth(surface, size_m, name, device=d) for d in ("cpu", context.device))
        same = here.mask == there.mask
        rms_m = _rms(here.heights_m[same] - there.heights_m[same])
        context.record(name, {"rms_m": rms_m, "other_mask": float(1 - same.mean()), "ok": bool(rms_m <= HEIGHTS_M)})


def _compared(
    fine: np.ndarray, cubic: np.ndarray, here: np.ndarray, there: np.ndarray, *, exact: bool
) -> dict[str, object]:
    """Differences; half precision rounds in other places on each device, so there the gain alone is held to its limit."""
    inner = (slice(60, -60), slice(60, -60))
    base = _rms((cubic - fine)[inner])
    gains = [100.0 * (1.0 - _rms((made - fine)[inner]) / base) for made in (here, there)]
    rms_m, most_m = _rms(there - here), float(np.nanmax(np.abs(there - here)))
    fits = (not exact or rms_m <= HEIGHTS_M) and abs(gains[1] - gains[0]) <= POINTS
    return {"rms_m": rms_m, "max_m": most_m, "gain_cpu": gains[0], "gain_device": gains[1], "ok": bool(fits)}


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.asarray(values, np.float64) ** 2)))


def _truth(context: Context) -> np.ndarray:
    side = 180 if context.small else 1500
    heights = raster(context.rasters / "truth.tif")
    if heights is None:
        heights = terrain(side, side)
    rows, cols = (min(side, size) // 3 * 3 for size in heights.shape)
    return np.ascontiguousarray(heights[:rows, :cols])


def _surface(context: Context, name: str, side: int) -> np.ndarray:
    heights = raster(context.rasters / "surface.tif") if "2m" in name else None
    return terrain(side, side) if heights is None else np.ascontiguousarray(heights[:side, :side])


def raster(path: Path) -> np.ndarray | None:
    """A raster's heights with NaN voids, or None where there is no file."""
    if not path.exists():
        return None
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(1, masked=True).astype(np.float32).filled(np.nan))
