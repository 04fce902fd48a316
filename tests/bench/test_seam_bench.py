"""Seams on real terrain split into two countries, and where the spacing of GLO-30 changes.

`make bench BENCH=tests/bench/test_seam_bench.py`
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject

from orograph.pipeline.core.grid import PixelWindow, Tile
from orograph.pipeline.job import Job
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.sources.nodata import to_void
from orograph.pipeline.tile.stages import Context, Layer, TileWindow
from orograph.pipeline.tile.stages.blend import Blend
from orograph.pipeline.vertical import VerticalCatalogue, delta_surface
from tests.bench.results import record
from tests.support.spacing_world import elevation_of, errors_by_distance, two_files

pytestmark = pytest.mark.bench
CATALOGUE = VerticalCatalogue.load()
OVERLAP_PX = 40
SPLITS = [
    ("data/dtm/limburg_nl_0p5m.tif", "EPSG:5709", "EPSG:5710", "NL (NAP) / BE (Ostend), 0.5 m"),
    ("data/dtm/swissalti3d_2m.tif", "EPSG:5728", "EPSG:5729", "CH (LN02) / CH (LHN95), 2 m"),
    ("data/dtm/swissalti3d_2m.tif", "EPSG:5728", "EPSG:5720", "CH (LN02) / FR (NGF-IGN69), 2 m"),
]


def read(path: Path) -> tuple[np.ndarray, GeoBox]:
    with rasterio.open(path) as file:
        crs = file.crs.to_string()
        return to_void(file.read(1), file.nodata), GeoBox(file.shape, file.transform, crs)


def country(heights, frame, other, box, target, grids, bias_m=0.0):
    """What the other nation would have measured, brought to the target frame by the other nation's operation."""
    there = CATALOGUE.operation(frame, other, grids_dir=grids, via="EPSG:4937")
    moved = heights + delta_surface(there, box).sample(box) + np.float32(bias_m)
    raw = moved.copy()
    delta_surface(CATALOGUE.operation(other, target, grids_dir=grids), box).add_to(moved, box)
    return raw, moved


def joined(upper, lower, box, width_m) -> np.ndarray:
    pixel_m = abs(box.affine.a)
    job = Job(Tile(4000, 3000), (), ProcessingSettings(pixel_size_m=max(1.0, pixel_m), blend_width_m=width_m))
    rows, cols = upper.shape
    window = TileWindow(PixelWindow(1, 1, rows - 2, cols - 2), 1, box, (Layer(1, upper, 0.1), Layer(2, lower, 0.1)))
    return Blend()(window, Context(job, reader=None)).heights_m


def step_m(made, truth, edge) -> tuple[float, float, float]:
    """Signed step over the border line, its mean absolute value, and that of interior steps, beyond the terrain's own."""
    error = made - truth
    across = error[:, 1:] - error[:, :-1]
    at = edge[:, 1:] & ~edge[:, :-1]
    line, inside = across[at], across[~at]
    line, inside = line[np.isfinite(line)], inside[np.isfinite(inside)]
    return float(line.mean()), float(np.abs(line).mean()), float(np.abs(inside).mean())


@pytest.mark.parametrize("noise_m", [0.0, 0.03])
@pytest.mark.parametrize(("path", "frame", "other", "name"), SPLITS)
def test_seam_on_real_terrain(shared, path, frame, other, name, noise_m):
    grids = shared("proj-grids")
    heights, box = read(shared(path))
    rows, cols = np.indices(heights.shape)
    line = heights.shape[1] * (0.35 + 0.3 * rows / heights.shape[0])
    random = np.random.default_rng(4)
    measured = [heights + random.normal(0, noise_m, heights.shape).astype(np.float32) for _ in range(2)]
    mine = measured[0].copy()
    delta_surface(CATALOGUE.operation(frame, "EPSG:5621", grids_dir=grids), box).add_to(mine, box)
    truth = mine - (measured[0] - heights)
    raw, theirs = country(measured[1], frame, other, box, "EPSG:5621", grids)
    edge = cols >= line
    upper = np.where(edge, np.nan, mine).astype(np.float32)
    lower = np.where(cols >= line - OVERLAP_PX, theirs, np.nan).astype(np.float32)
    untouched = np.where(edge, raw, measured[0])
    datum_only = joined(upper, lower, box, 0.0)
    blended = joined(upper, lower, box, 100.0)
    before = step_m(untouched, heights, edge)[0]
    after = step_m(datum_only, truth, edge)[0]
    left, seam_blended, inside_blended = step_m(blended, truth, edge)
    print(
        f"\n{name}, noise {noise_m} m: step {before * 100:+.2f} cm raw, {after * 100:+.2f} cm by operations,"
        f" {left * 100:+.3f} cm blended; |step| {seam_blended * 100:.2f} cm at the line, {inside_blended * 100:.2f} inside"
    )
    if noise_m:
        record(
            "seams-and-edges",
            f"border {frame} {other}",
            claim=f"step at the border {name}",
            ours=f"{left * 100:+.2f} cm",
            peer=f"{before * 100:+.2f} cm, heights as delivered",
            data="one real terrain in two frames, noise of 3 cm",
        )
    assert abs(left) <= 0.01
    assert seam_blended <= max(inside_blended * 1.05, 0.001)


def warped(files, like):
    """Both files in the grid of a product by GDAL's cubic, each read apart; the southern one comes last."""
    with rasterio.open(like) as dataset:
        made, grid = np.full(dataset.shape, np.nan, np.float32), dataset.transform
    for file in files[::-1]:
        with rasterio.open(file) as dataset:
            reproject(
                rasterio.band(dataset, 1), made, dst_transform=grid, dst_crs="EPSG:3035", dst_nodata=np.nan,
                resampling=Resampling.cubic, init_dest_nodata=False,
            )  # fmt: skip
    return made, grid


def rms(values):
    return float(np.sqrt(np.mean(values**2)))


def test_where_the_spacing_changes(tmp_path):
    files = two_files(tmp_path)
    elevation = elevation_of(files, tmp_path, pixel_size_m=10.0, superres="keys6")
    with rasterio.open(elevation) as dataset:
        ours, inside = errors_by_distance(dataset.read(1, masked=True).filled(np.nan), dataset.transform)
    peer, elsewhere = errors_by_distance(*warped(files, elevation))
    print(f"\nours rms {rms(ours):.4f}, largest {ours.max():.3f} m; elsewhere {rms(inside):.4f}, {inside.max():.3f} m")
    print(
        f"GDAL rms {rms(peer):.4f}, largest {peer.max():.3f} m; elsewhere {rms(elsewhere):.4f}, {elsewhere.max():.3f}"
    )
    record(
        "seams-and-edges",
        "spacing",
        claim="error where GLO-30's spacing changes (50 N), rms",
        ours=f"{rms(ours) * 1000:.1f} mm",
        peer=f"{rms(peer) * 1000:.0f} mm, GDAL's cubic file by file",
        ratio=rms(ours) / rms(peer),
        data="slopes of 44 %, 10 m pixels",
    )
    assert rms(ours) < rms(peer)
