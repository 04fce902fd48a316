"""Runs in our environment, in a fresh process: fit and apply once; prints one line of JSON.

usage: own_coregistration.py cold REF TBA STABLE METHOD THREADS
       own_coregistration.py memory SIDE_PX void|full
"""

import json
import resource
import sys
import time
from pathlib import Path

WALL, CPU = time.perf_counter(), time.process_time()

import numpy as np  # noqa: E402 - the clock starts before the imports
from affine import Affine  # noqa: E402
from odc.geo.geobox import GeoBox  # noqa: E402

from orograph.pipeline.core.raster import Raster, Surface  # noqa: E402
from orograph.pipeline.coregistration import fit  # noqa: E402


def cold(ref, tba, stable, method, threads):
    from orograph.pipeline.coregistration.prepare import read_heights, read_mask

    imported = time.perf_counter() - WALL, time.process_time() - CPU
    reference, _ = read_heights(Path(ref))
    moving, _ = read_heights(Path(tba))
    mask = read_mask(Path(stable), reference)
    wall, cpu = time.perf_counter(), time.process_time()
    fit(reference, moving, mask, method, threads=int(threads)).apply(moving, threads=int(threads))
    took = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"import_wall_s": imported[0], "import_cpu_s": imported[1], "wall_s": took[0], "cpu_s": took[1]}))


def pair(side):
    """Mountains from a few waves, made in place: no temporary of the raster's size."""
    rows, cols = np.arange(side, dtype=np.float32)[:, None], np.arange(side, dtype=np.float32)[None, :]
    rasters = []
    for dr, dc, up in ((-0.6, -0.4, 3.0), (0.0, 0.0, 0.0)):
        heights = np.empty((side, side), np.float32)
        for first in range(0, side, 256):
            r, c = rows[first : first + 256] + dr, cols + dc
            part = 60 * np.sin(r / 17 + c / 29) + 90 * np.cos(r / 41 - c / 23) + 30 * np.sin(c / 11) * np.cos(r / 9)
            heights[first : first + 256] = 600 + up + part
        box = GeoBox((side, side), Affine(10, 0, 4_300_000, 0, -10, 2_700_000), "EPSG:3035")
        rasters.append(Raster(heights, box, "EPSG:5621", Surface.DTM))
    return rasters


def peak_mb():
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def memory(side, kind):
    small = pair(300)
    small[1].heights_m[40:60, 40:60] = np.nan
    fit(*small, method="blockwise").apply(small[1])
    with Path("/proc/self/statm").open() as statm:
        before = int(statm.read().split()[1]) * resource.getpagesize() / 2**20
    Path("/proc/self/clear_refs").write_text("5")
    reference, moving = pair(int(side))
    if kind == "void":
        moving.heights_m[100:400, 200:900] = np.nan
        moving.heights_m[::97, ::89] = np.nan
    mask = np.ones(reference.heights_m.shape, bool)
    result = fit(reference, moving, mask, "blockwise")
    aligned = result.apply(moving)
    tile = int(side) ** 2 * 4 / 2**20
    line = {"side_px": int(side), "kind": kind, "tiles": (peak_mb() - before) / tile, "status": result.status.value}
    print(json.dumps(line | {"tile_mb": tile, "before_mb": before, "void": int(np.isnan(aligned.heights_m).sum())}))


if __name__ == "__main__":
    {"cold": cold, "memory": memory}[sys.argv[1]](*sys.argv[2:])
