"""Coregistration on the device against the compiled kernels: displacements, and speed with transfers counted."""

from __future__ import annotations

import os
import time

import numpy as np
from odc.geo.geobox import GeoBox
from scipy import ndimage

from orograph.pipeline.core.raster import Raster
from orograph.pipeline.core.surface import Surface
from orograph.pipeline.coregistration import fit
from tests.bench.gpu.context import Context, terrain

SHIFT_PX = (0.83, -1.37)
METHODS = ("nuth-kaab", "blockwise(nuth-kaab)")


def measure(context: Context) -> None:
    """Record seconds on one core, two cores and the device, and how far apart the displacements are."""
    side = 300 if context.small else 5000
    reference, moving = _pair(side)
    for method in METHODS[:1] if context.small else METHODS:
        row: dict[str, object] = {"mpx": side * side / 1e6, "cores": os.cpu_count()}
        fields = {}
        for label, options in (
            ("two cores", {"threads": 2}),
            ("all cores", {"threads": 0}),
            ("device", {"device": context.device}),
        ):
            if label == "all cores" and context.small:
                continue
            # The first run compiles kernels, or fills the device's caches.
            fit(*_pair(200), method=method, **options)
            begun = time.perf_counter()
            result = fit(reference, moving, method=method, **options)
            context.wait()
            row[f"{label} s"] = time.perf_counter() - begun
            grid = GeoBox.from_bbox(tuple(reference.geobox.extent.boundingbox), "EPSG:3035", shape=(50, 50))
            fields[label] = [np.asarray(plane) for plane in result.displacement(grid)]
            context.record(method, row)
        apart = [float(np.abs(a - b).max()) for a, b in zip(fields["two cores"], fields["device"], strict=True)]
        row |= {"apart_m": apart, "ok": max(apart) < 1e-3, "times": row["two cores s"] / row["device s"]}  # type: ignore[operator]
        context.record(method, row)


def _pair(side: int) -> tuple[Raster, Raster]:
    heights = terrain(side, side)
    moved = ndimage.shift(heights, SHIFT_PX, order=3, mode="nearest").astype(np.float32)
    noise = np.random.default_rng(2).normal(0.0, 0.5, moved.shape).astype(np.float32)
    geobox = GeoBox.from_bbox((4e6, 3e6, 4e6 + 10 * side, 3e6 + 10 * side), "EPSG:3035", resolution=10)
    return tuple(Raster(z, geobox, "EPSG:5621", Surface.DTM) for z in (heights, moved + noise + np.float32(2.0)))  # type: ignore[return-value]
