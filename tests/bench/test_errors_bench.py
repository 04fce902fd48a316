"""Coverage of the stated error of a tile from decimated lidar, by class of slope.

`make bench BENCH=tests/bench/test_errors_bench.py`: lidar of Davos decimated from 10 to 30 m and made into a tile of 10 m,
next to the tile of the lidar itself. The peer states the accuracy of the source everywhere.
"""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from orograph.pipeline.core.grid import Tile
from orograph.pipeline.planning.planner import Planner
from orograph.pipeline.settings import ProcessingSettings
from orograph.pipeline.tile.run import run_tile
from tests.bench.results import record
from tests.support.davos import slope_deg
from tests.support.made import source
from tests.support.planned import _probe, paths_of

pytestmark = pytest.mark.bench

CRS, FRAME = "EPSG:21781", "EPSG:5728"
SLOPES_DEG = ((0, 5), (5, 15), (15, 30), (30, 45), (45, 90))
EDGE_PX = 25
NETWORK = "superres-s"
CONSTANT_M = 0.14
"""Accuracy of the lidar and of its datum, 0.1 m each."""


def decimated(path, folder, factor=3):
    """A raster of every third sample; its path."""
    with rasterio.open(path) as dataset:
        heights, profile = dataset.read(1), dataset.profile
    rows, columns = (size // factor * factor for size in heights.shape)
    few = heights[factor // 2 : rows : factor, factor // 2 : columns : factor]
    grid = profile["transform"] * Affine.scale(factor)
    profile.update(width=few.shape[1], height=few.shape[0], transform=grid)
    out = folder / "decimated.tif"
    with rasterio.open(out, "w", **profile) as dataset:
        dataset.write(few, 1)
    return out


def tile_of(path, resolution_m, folder, grids, superres):
    """Heights and their stated errors of the tile of a raster, float64, NaN is void."""
    folder.mkdir()
    facts = {"horizontal_crs": CRS, "vertical_frame": FRAME, "resolution_m": resolution_m, "accuracy_m": 0.1}
    settings = ProcessingSettings(target_frame=FRAME, superres=superres, coregistration="none", fill_max_m=0.0)
    with rasterio.open(path) as dataset:
        place = dataset.transform * (dataset.width / 2, dataset.height / 2)
    tile = Tile.containing(*Transformer.from_crs(CRS, "EPSG:3035", always_xy=True).transform(*place))
    job = Planner([source(path, **facts)], settings, _probe).job(tile)
    result = run_tile(job, paths_of(job), folder, grids_dir=grids)
    layers = []
    for kind in ("elevation", "uncertainty"):
        (file,) = (product.path for product in result.products if product.path.stem.endswith(kind))
        with rasterio.open(file) as dataset:
            layers.append(dataset.read(1, masked=True).astype(np.float64).filled(np.nan))
    return layers


def covered(error, sigma, here):
    """Percent of errors within one and 1.96 standard deviations."""
    ratio = np.abs(error[here]) / sigma[here]
    return 100 * float(np.mean(ratio < 1)), 100 * float(np.mean(ratio < 1.96))


def test_bands_of_a_tile_from_decimated_lidar(shared, tmp_path):
    lidar, grids = shared("data/dtm/davos_10m.tif"), shared("proj-grids")
    truth, _ = tile_of(lidar, 10.0, tmp_path / "truth", grids, "none")
    coarse = decimated(lidar, tmp_path)
    tiles = {name: tile_of(coarse, 30.0, tmp_path / name, grids, name) for name in (NETWORK, "keys6")}
    rows, columns = np.nonzero(np.isfinite(truth))
    inner = tuple(slice(side.min() + EDGE_PX, side.max() - EDGE_PX) for side in (rows, columns))
    truth = truth[inner]
    slope = slope_deg(truth)
    for name, layers in tiles.items():
        made, sigma = (layer[inner] for layer in layers)
        plain = np.full_like(sigma, CONSTANT_M)
        error = made - truth
        known = np.isfinite(error) & np.isfinite(sigma) & np.isfinite(slope)
        classes = []
        print(f"\n{name}: median sigma {np.median(sigma[known]):.2f} m")
        for low, high in SLOPES_DEG:
            here = known & (slope >= low) & (slope < high)
            classes.append(covered(error, sigma, here))
            constant = covered(error, plain, here)
            bands = " / ".join(f"{value:.0f} %" for value in classes[-1])
            print(
                f"{low} to {high} degrees: {here.sum()} pixels, {bands}; "
                f"constant {constant[0]:.0f} / {constant[1]:.0f} %"
            )
    spans = [f"{min(band):.0f} to {max(band):.0f}" for band in zip(*classes, strict=True)]
    peer = covered(error, plain, known)
    record(
        "errors",
        "bands",
        claim="68 / 95 % band of a tile from decimated lidar, 30 to 10 m",
        ours=f"{' / '.join(spans)} % covered by slope class",
        peer=f"{peer[0]:.0f} / {peer[1]:.0f} %, constant accuracy",
        data="lidar of Davos, held out",
    )
    assert min(band[0] for band in classes) > 55
